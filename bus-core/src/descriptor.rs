//! What a program knows of a connector and of an object type before anything runs: the hand-written form of what
//! the macros write.
//!
//! ```
//! use bus_core::descriptor::{ConnectorDescriptor, Route};
//! use bus_core::{Accepts, Change, Connector, Cx, Failure, NoSettings, Outgoing, Subscription, SubscribesTo};
//! # use bus_core::BusObject;
//! # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
//! # #[object(type = "app.user", display = "User")]
//! # struct User { #[object(id)] id: i64 }
//! struct Crm;
//! impl Connector for Crm {
//!     type Settings = NoSettings;
//!     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
//!         Ok(Crm)
//!     }
//! }
//! impl SubscribesTo<User> for Crm {}
//! impl Outgoing<User> for Crm {
//!     async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> {
//!         Ok(())
//!     }
//! }
//! static CRM: ConnectorDescriptor =
//!     ConnectorDescriptor::new::<Crm>("crm").routes(const { &[Route::outgoing::<Crm, User>(Subscription::to("app.user"), None)] });
//! assert_eq!(CRM.name, "crm");
//! ```

use std::any::{Any, TypeId, type_name};
use std::fmt;

use serde_json::Value;

use crate::children::ListField;
use crate::clock::BoxFuture;
use crate::connector::Connector;
use crate::context::Cx;
use crate::create_once::CreateOnce;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::object::BusObject;
use crate::page::Page;
use crate::parts::ObjectParts;
use crate::payload::{Payload, PayloadError};
use crate::reference::ReferenceField;
use crate::settings::{self, Settings};

mod former;
mod route;

pub use former::Former;
pub use route::{
    Deliver, Filter, IncomingCall, IncomingRoute, OutgoingRoute, Prepare, PreparedObject, PreparedPage,
    PreparedParts, Route, Subscribable,
};

/// The settings of a registered connector, read once for its filters.
#[doc(hidden)]
pub type ParsedSettings = Box<dyn Any + Send + Sync>;

/// A linked connector: its name, where it stands in the source, and how to call it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ConnectorDescriptor {
    /// Its compiled name.
    pub name: &'static str,
    /// The first line of its doc comment.
    pub summary: &'static str,
    /// Where it stands in the source.
    pub place: Place,
    /// What it is told of and what it accepts.
    pub routes: &'static [Route],
    /// The handles it cannot work without.
    pub needs: &'static [Need],
    /// What its external system makes of a create that comes a second time; `None` where it does not say.
    pub create_once: Option<CreateOnce>,
    /// The JSON Schema of its settings.
    pub settings_schema: fn() -> Value,
    #[doc(hidden)]
    pub read_settings: fn(Value) -> Result<ParsedSettings, String>,
    #[doc(hidden)]
    pub connect: for<'a> fn(Value, &'a Cx) -> BoxFuture<'a, Result<Instance, Failure>>,
}

impl ConnectorDescriptor {
    /// Connector `C` under this name.
    pub const fn new<C: Connector>(name: &'static str) -> Self {
        Self {
            name,
            summary: "",
            place: Place::unknown(),
            routes: &[],
            needs: &[],
            create_once: None,
            settings_schema: <C::Settings as Settings>::schema,
            read_settings: |value| {
                let settings: C::Settings = settings::read(&value)?;
                Ok(Box::new(settings))
            },
            connect: |settings, cx| {
                Box::pin(async move {
                    let settings = settings::read(&settings)
                        .map_err(|error| Failure::reject(format!("the settings do not fit: {error}")))?;
                    let connector = C::connect(settings, cx).await.map_err(|f| f.classified(C::classify))?;
                    Ok(Instance::of(connector))
                })
            },
        }
    }

    /// With this summary.
    #[must_use]
    pub const fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// Standing here.
    #[must_use]
    pub const fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// With these routes.
    #[must_use]
    pub const fn routes(mut self, routes: &'static [Route]) -> Self {
        self.routes = routes;
        self
    }

    /// Needing these handles.
    #[must_use]
    pub const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// Declaring what its external system makes of a create that comes a second time.
    #[must_use]
    pub const fn create_once(mut self, create_once: CreateOnce) -> Self {
        self.create_once = Some(create_once);
        self
    }

    /// Its outgoing routes.
    pub fn outgoing(&self) -> impl Iterator<Item = &'static OutgoingRoute> {
        self.routes.iter().filter_map(|route| match route {
            Route::Outgoing(route) => Some(route),
            Route::Incoming(_) => None,
        })
    }

    /// Its incoming routes.
    pub fn incoming(&self) -> impl Iterator<Item = &'static IncomingRoute> {
        self.routes.iter().filter_map(|route| match route {
            Route::Outgoing(_) => None,
            Route::Incoming(route) => Some(route),
        })
    }

    /// Whether any of its routes blocks its thread. Then `connect`, `flush` and its call-backs may block theirs, too:
    /// whoever writes `deliver` with a blocking client has no other client to connect with.
    pub fn blocks(&self) -> bool {
        self.routes.iter().any(Route::blocks)
    }
}

impl fmt::Debug for ConnectorDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorDescriptor")
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// A connector that knows its own descriptor: written by `#[connector]`, and what a `Registry` is built from by hand.
///
/// ```
/// use bus_core::descriptor::DescribedConnector;
/// # use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, connector};
/// # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
/// # #[object(type = "app.user")]
/// # struct User { #[object(id)] id: i64 }
/// #[connector(name = "crm")]
/// #[outgoing(User)]
/// struct Crm;
/// # impl Connector for Crm {
/// #     type Settings = NoSettings;
/// #     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> { Ok(Crm) }
/// # }
/// # impl Outgoing<User> for Crm {
/// #     async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> { Ok(()) }
/// # }
///
/// assert_eq!(Crm::DESCRIPTOR.name, "crm");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no descriptor",
    label = "not described",
    note = "add `#[connector(name = \"...\")]` to it, or build a `ConnectorDescriptor` by hand"
)]
pub trait DescribedConnector {
    /// Its descriptor, the same that the linker finds.
    const DESCRIPTOR: &'static ConnectorDescriptor;

    /// Why `register!` must not register it: it is registered already, and where.
    #[doc(hidden)]
    const REGISTERED: Option<&'static str> = None;
}

/// An object type that knows its own descriptor: written by `#[derive(BusObject)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no descriptor",
    label = "not described",
    note = "add `#[derive(BusObject)]` to it, or build an `ObjectDescriptor` by hand"
)]
pub trait DescribedObject {
    /// Its descriptor, the same that the linker finds.
    const DESCRIPTOR: &'static ObjectDescriptor;
}

/// A class of pages that knows its own descriptor: written by `#[derive(Page)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no descriptor",
    label = "not described",
    note = "add `#[derive(Page)]` to it, or build a `PageDescriptor` by hand"
)]
pub trait DescribedPage {
    /// Its descriptor, the same that the linker finds.
    const DESCRIPTOR: &'static PageDescriptor;
}

/// A linked class of pages: what the bus knows of it without its Rust type.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PageDescriptor {
    /// Its name.
    pub class_name: &'static str,
    /// What people call the class.
    pub display: &'static str,
    /// Its references, as declared.
    pub references: &'static [ReferenceField],
    /// Where it stands in the source.
    pub place: Place,
}

impl PageDescriptor {
    /// The class that `T` stands for.
    pub const fn new<T: Page>() -> Self {
        Self { class_name: T::CLASS, display: T::DISPLAY, references: T::REFERENCES, place: Place::unknown() }
    }

    /// Standing here.
    #[must_use]
    pub const fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// Where something stands in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The crate.
    pub crate_name: &'static str,
    /// Its version.
    pub crate_version: &'static str,
    /// The file.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

impl Place {
    const fn unknown() -> Self {
        Self { crate_name: "", crate_version: "", file: "", line: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            return f.write_str("a place in the program that it does not name");
        }
        write!(f, "{}:{} ({} {})", self.file, self.line, self.crate_name, self.crate_version)
    }
}

/// A handle that a connector cannot work without.
#[derive(Clone, Copy)]
pub struct Need {
    /// Its type.
    pub type_id: fn() -> TypeId,
    /// The type's name, for people.
    pub type_name: fn() -> &'static str,
}

impl Need {
    /// A handle of type `H`.
    pub const fn of<H: Any + Send + Sync>() -> Self {
        Self { type_id: TypeId::of::<H>, type_name: type_name::<H> }
    }
}

impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str((self.type_name)())
    }
}

/// A linked object type: what the bus knows of it without its Rust type.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ObjectDescriptor {
    /// Its type.
    pub object_type: &'static str,
    /// What people call the type.
    pub display: &'static str,
    /// Whether this is a second struct for the type, which shows a part of it.
    pub is_view: bool,
    /// Which version of the type it is.
    pub version: u32,
    /// The version before this one, whose objects become this one's when they are read.
    pub former: Option<Former>,
    /// Its references, as declared.
    pub references: &'static [ReferenceField],
    /// Its lists of child objects.
    pub children: &'static [ListField],
    /// Its lists of bindings.
    pub bindings: &'static [ListField],
    /// Where it stands in the source.
    pub place: Place,
    /// Its Rust type.
    #[doc(hidden)]
    pub rust_type: fn() -> TypeId,
    /// Takes an object of this type apart, given as a payload.
    #[doc(hidden)]
    pub parts: fn(Payload) -> Result<ObjectParts, PayloadError>,
}

impl ObjectDescriptor {
    /// The type that `T` stands for.
    pub const fn new<T: BusObject>() -> Self {
        Self {
            object_type: T::TYPE,
            display: T::DISPLAY,
            is_view: T::IS_VIEW,
            version: T::VERSION,
            former: None,
            references: T::REFERENCES,
            children: T::CHILDREN,
            bindings: T::BINDINGS,
            place: Place::unknown(),
            rust_type: TypeId::of::<T>,
            parts: |payload| ObjectParts::of(&payload.read::<T>()?),
        }
    }

    /// Made of this one, where it was written by an earlier version.
    #[must_use]
    pub const fn former(mut self, former: Former) -> Self {
        self.former = Some(former);
        self
    }

    /// Standing here.
    #[must_use]
    pub const fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}
