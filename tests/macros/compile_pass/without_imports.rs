//! Everything by its path, and nothing in scope.

#![no_implicit_prelude]

mod model {
    #[derive(::serde::Serialize, ::serde::Deserialize, ::bus_core::BusObject)]
    #[object(type = "app.team")]
    pub(crate) struct Team {
        #[object(id)]
        pub(crate) id: ::std::primitive::i64,
        #[object(parent)]
        pub(crate) parent: ::std::option::Option<::bus_core::Ref<Team>>,
    }

    #[derive(::serde::Serialize, ::serde::Deserialize)]
    pub(crate) struct Envelope<T>(pub(crate) T);
}

#[derive(::serde::Deserialize, ::bus_core::Settings)]
pub struct ChatSettings {
    /// Where it answers.
    pub url: ::std::string::String,
}

#[::bus_core::outgoing(model::Team, on(create))]
#[::bus_core::connector(name = "chat")]
#[::bus_core::outgoing(::bus_core::AnyObject, type = "cms.%")]
#[::bus_core::incoming(model::Envelope<model::Envelope<::std::primitive::i64>>, key = 0.0)]
#[::bus_core::incoming(model::Envelope<::std::string::String>, key = 0, kind = "text")]
struct Chat;

::bus_tests_macros::connects!(Chat);
::bus_tests_macros::delivers!(Chat: model::Team);
::bus_tests_macros::delivers!(Chat: ::bus_core::AnyObject);
::bus_tests_macros::prepares!(Chat: model::Envelope<model::Envelope<::std::primitive::i64>>);
::bus_tests_macros::prepares!(Chat: model::Envelope<::std::string::String>);

fn main() {}
