//! A connector of a library, which leaves the transport to the application: here both stand in one file.

#![no_implicit_prelude]

mod acme {
    use ::bus_core::{Change, ChangeSummary, Connector, Cx, Failure, NoSettings, Outgoing};
    use ::std::marker::{Send, Sized, Sync};
    use ::std::result::Result::{self, Ok};

    pub trait Transport: Send + Sync + Sized + 'static {
        fn open() -> Self;
    }

    #[::bus_core::connector(name = "acme")]
    #[outgoing(::bus_tests_macros::User, filter = Self::wants)]
    #[incoming(::bus_tests_macros::Contact, key = uid, owns(login))]
    pub struct Acme<T, const RETRIES: ::std::primitive::usize>
    where
        T: Transport,
    {
        pub transport: T,
    }

    impl<T: Transport, const RETRIES: ::std::primitive::usize> Acme<T, RETRIES> {
        fn wants(_: &ChangeSummary, _: &NoSettings) -> ::std::primitive::bool {
            true
        }
    }

    impl<T: Transport, const RETRIES: ::std::primitive::usize> Connector for Acme<T, RETRIES> {
        type Settings = NoSettings;
        async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
            Ok(Self { transport: T::open() })
        }
    }

    impl<T: Transport, const RETRIES: ::std::primitive::usize> Outgoing<::bus_tests_macros::User> for Acme<T, RETRIES> {
        async fn deliver(&self, _: Change<::bus_tests_macros::User>, _: &Cx) -> Result<(), Failure> {
            Ok(())
        }
    }

    impl<T: Transport, const RETRIES: ::std::primitive::usize> ::bus_core::Incoming<::bus_tests_macros::Contact>
        for Acme<T, RETRIES>
    {
        type Object = ::bus_tests_macros::User;
        async fn prepare_internal_object(
            &self,
            _: ::bus_core::Received<::bus_tests_macros::Contact, ::bus_tests_macros::User>,
            _: &Cx,
        ) -> Result<::bus_core::Prepared<::bus_tests_macros::User>, Failure> {
            Ok(::bus_core::Prepared::Ignore)
        }
    }
}

pub struct Http;

impl acme::Transport for Http {
    fn open() -> Self {
        Http
    }
}

::bus_core::register!(acme::Acme<Http, 3>);

fn main() {
    use ::bus_core::__private::{LinkedConnector, inventory};
    use ::bus_core::descriptor::DescribedConnector;
    use ::std::iter::{IntoIterator, Iterator};

    let mut found = inventory::iter::<LinkedConnector>.into_iter();
    let ::std::option::Option::Some(LinkedConnector(acme)) = found.next() else { ::std::panic!("none is found") };
    ::std::assert_eq!((acme.name, acme.outgoing().count(), acme.incoming().count()), ("acme", 1, 1));
    let described = <acme::Acme<Http, 3> as DescribedConnector>::DESCRIPTOR;
    ::std::assert!(acme.place.line > described.place.line, "it stands where it is registered: {}", acme.place);
    ::std::assert!(found.next().is_none(), "and is found once");
}
