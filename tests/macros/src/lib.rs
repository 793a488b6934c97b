//! What the cases share, so that each of them holds its slip and little else.

use bus_core::{BusObject, Page, PageNode};
use serde::{Deserialize, Serialize};

/// An object of the host.
#[derive(Debug, Default, Serialize, Deserialize, BusObject)]
#[object(type = "app.user", display = "User")]
pub struct User {
    /// Its id.
    #[object(id)]
    pub id: i64,
    /// Its code name.
    #[object(code_name)]
    pub login: String,
}

/// A page of the host.
#[derive(Debug, Serialize, Deserialize, Page)]
#[page(class = "app.article", display = "Article")]
pub struct Article {
    /// Where it stands.
    #[page(node)]
    pub node: PageNode,
    /// What it is about.
    pub title: String,
}

/// What an external system sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Contact {
    /// What identifies it there.
    pub uid: String,
    /// Parts of it that have no text.
    pub tags: Vec<String>,
}

/// What an external system sends, too.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lead {
    /// What identifies it there.
    pub uid: String,
}

/// `impl Connector`, without settings.
#[macro_export]
macro_rules! connects {
    ($connector:ident) => {
        impl ::bus_core::Connector for $connector {
            type Settings = ::bus_core::NoSettings;
            async fn connect(
                _: ::bus_core::NoSettings,
                _: &::bus_core::Cx,
            ) -> ::core::result::Result<Self, ::bus_core::Failure> {
                ::core::unimplemented!()
            }
        }
    };
}

/// `impl Outgoing<T>`.
#[macro_export]
macro_rules! delivers {
    ($connector:ident: $object:ty) => {
        impl ::bus_core::Outgoing<$object> for $connector {
            async fn deliver(
                &self,
                _: ::bus_core::Change<$object>,
                _: &::bus_core::Cx,
            ) -> ::core::result::Result<(), ::bus_core::Failure> {
                ::core::unimplemented!()
            }
        }
    };
}

/// `impl Incoming<E>`, as a `User`.
#[macro_export]
macro_rules! prepares {
    ($connector:ident: $external:ty) => {
        impl ::bus_core::Incoming<$external> for $connector {
            type Object = $crate::User;
            async fn prepare_internal_object(
                &self,
                _: ::bus_core::Received<$external, $crate::User>,
                _: &::bus_core::Cx,
            ) -> ::core::result::Result<::bus_core::Prepared<$crate::User>, ::bus_core::Failure> {
                ::core::unimplemented!()
            }
        }
    };
}

/// `impl blocking::Outgoing<T>`.
#[macro_export]
macro_rules! delivers_blocking {
    ($connector:ident: $object:ty) => {
        impl ::bus_core::blocking::Outgoing<$object> for $connector {
            fn deliver(
                &self,
                _: ::bus_core::Change<$object>,
                _: &::bus_core::Cx,
            ) -> ::core::result::Result<(), ::bus_core::Failure> {
                ::core::unimplemented!()
            }
        }
    };
}

/// `impl blocking::Incoming<E>`, as a `User`.
#[macro_export]
macro_rules! prepares_blocking {
    ($connector:ident: $external:ty) => {
        impl ::bus_core::blocking::Incoming<$external> for $connector {
            type Object = $crate::User;
            fn prepare_internal_object(
                &self,
                _: ::bus_core::Received<$external, $crate::User>,
                _: &::bus_core::Cx,
            ) -> ::core::result::Result<::bus_core::Prepared<$crate::User>, ::bus_core::Failure> {
                ::core::unimplemented!()
            }
        }
    };
}
