//! Connectors that their crate cannot register, since there are many of them.

/// Registers a connector that is generic: its crate cannot know for which types it is used, so the application says so,
/// once per program.
///
/// ```
/// # mod acme {
/// #     use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, connector};
/// #     use serde::{Deserialize, Serialize};
/// #     #[derive(Serialize, Deserialize, BusObject)]
/// #     #[object(type = "app.user")]
/// #     pub struct User { #[object(id)] pub id: i64 }
/// #     pub trait Transport: Send + Sync + 'static { fn connect() -> Self; }
/// /// In the library:
/// #[connector(name = "acme")]
/// #[outgoing(User)]
/// pub struct Acme<T: Transport> {
///     transport: T,
/// }
/// #     impl<T: Transport> Connector for Acme<T> {
/// #         type Settings = NoSettings;
/// #         async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> { Ok(Self { transport: T::connect() }) }
/// #     }
/// #     impl<T: Transport> Outgoing<User> for Acme<T> {
/// #         async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> { let _ = &self.transport; Ok(()) }
/// #     }
/// # }
///
/// // In the application:
/// struct Http;
/// # impl acme::Transport for Http { fn connect() -> Self { Http } }
/// bus_core::register!(acme::Acme<Http>);
/// # fn main() {}
/// ```
///
/// It is found under its name and at the place of `register!`. Of two that are registered under one name, both are
/// refused at start, naming both places.
#[macro_export]
macro_rules! register {
    ($connector:ty) => {
        const _: () = {
            static REGISTERED: $crate::descriptor::ConnectorDescriptor =
                $crate::__private::registered::<$connector>($crate::descriptor::Place {
                    crate_name: ::core::env!("CARGO_PKG_NAME"),
                    crate_version: ::core::env!("CARGO_PKG_VERSION"),
                    file: ::core::file!(),
                    line: ::core::line!(),
                });
            $crate::__private::inventory::submit! {
                $crate::__private::LinkedConnector(&REGISTERED)
            }
        };
    };
}
