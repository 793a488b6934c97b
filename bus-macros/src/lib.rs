//! The attributes of the integration bus. Use them through `bus_core`, which re-exports them.
//!
//! | Macro | Stands on | Writes |
//! |---|---|---|
//! | [`macro@connector`] | the struct that holds a connector's state | its descriptor, and what the linker finds |
//! | [`macro@outgoing`] | the same struct, one line per subscription | `SubscribesTo<T>` and a route |
//! | [`macro@incoming`] | the same struct, one line per external type | `Accepts<E>` and a route |
//! | [`macro@BusObject`] | a record of the host | `BusObject`, and what the linker finds |
//! | [`macro@Settings`] | what an operator sets | `Settings`: the form as JSON Schema |
//!
//! What they write holds no behaviour, and a person could have written it: `bus_core::descriptor` shows how.

use proc_macro::TokenStream;

mod connector;
mod docs;
mod entries;
mod errors;
#[cfg(test)]
mod expansion;
mod fallback;
mod names;
mod object;
mod page;
mod paths;
mod serde_names;
mod settings;
mod suggest;

/// Makes a struct a connector that the bus finds.
///
/// Below it stand its lines: one [`macro@outgoing`] per subscription, one [`macro@incoming`] per external type. For
/// each of them the struct implements `Outgoing<T>` or `Incoming<E>`; a line without its impl does not compile, nor
/// does an impl without its line. The struct itself stays as it is.
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `name = "crm"` | its name in `bus.toml` and in the store: lowercase words joined by `-` | none: it must be given |
/// | `needs(HostDb, ...)` | handles without which it cannot work; a missing one is reported at start | none |
/// | `blocking` | its code blocks its thread: it implements `blocking::Outgoing<T>` and `blocking::Incoming<E>` instead | it is async |
/// | `create_once = find` | what becomes of a create whose answer is lost: `find` looks it up (`find_external`), `repeatable` repeats it, `in_doubt` leaves it to a person | `find` |
/// | `crate = path` | where `bus_core` is, for a crate that renamed it | `::bus_core` |
///
/// The first line of the doc comment is what operators read about it. A struct may have type parameters, such as the
/// transport that a library leaves to its users, with the bounds that its impls ask for. It is not found then until the
/// application registers it: `bus_core::register!(acme::Acme<Http>)`. A connector with `blocking` code has a module of its own, `bus_core::blocking`, which says what its threads may and may not.
///
/// ```
/// use bus_core::{
///     BusObject, Change, Connector, Cx, Failure, Incoming, NoSettings, Outgoing, Prepared, Received, Ref, connector,
/// };
/// use serde::{Deserialize, Serialize};
///
/// # #[derive(Serialize, Deserialize, BusObject)]
/// # #[object(type = "app.company")]
/// # struct Company { #[object(id)] id: i64 }
/// #[derive(Default, Serialize, Deserialize, BusObject)]
/// #[object(type = "app.user", display = "User")]
/// struct User {
///     #[object(id)]
///     id: i64,
///     #[object(code_name)]
///     login: String,
///     company: Option<Ref<Company>>,
/// }
///
/// /// What the CRM sends us.
/// #[derive(Serialize, Deserialize)]
/// struct Contact {
///     uid: String,
///     login: String,
/// }
///
/// struct HostDb;
///
/// /// Keeps the CRM's contacts in step with our users.
/// #[connector(name = "crm", needs(HostDb))]
/// #[outgoing(User, on(create, update), data = snapshot)]
/// #[incoming(Contact, key = uid)]
/// pub struct Crm {
///     // A client of the CRM would stand here.
/// }
///
/// impl Connector for Crm {
///     type Settings = NoSettings;
///     async fn connect(_settings: NoSettings, cx: &Cx) -> Result<Self, Failure> {
///         cx.handle::<HostDb>()?;
///         Ok(Self {})
///     }
/// }
///
/// impl Outgoing<User> for Crm {
///     async fn deliver(&self, change: Change<User>, _cx: &Cx) -> Result<(), Failure> {
///         println!("{} {}", change.operation(), change.object.login);
///         Ok(())
///     }
/// }
///
/// impl Incoming<Contact> for Crm {
///     type Object = User;
///     async fn prepare_internal_object(
///         &self,
///         received: Received<Contact, User>,
///         _cx: &Cx,
///     ) -> Result<Prepared<User>, Failure> {
///         let mut user = received.existing.unwrap_or_default();
///         user.login = received.object.login;
///         Ok(user.into())
///     }
/// }
///
/// use bus_core::descriptor::DescribedConnector;
/// assert_eq!(Crm::DESCRIPTOR.name, "crm");
/// assert_eq!(Crm::DESCRIPTOR.summary, "Keeps the CRM's contacts in step with our users.");
/// assert_eq!(Crm::DESCRIPTOR.outgoing().count(), 1);
/// assert_eq!(Crm::DESCRIPTOR.incoming().count(), 1);
/// ```
#[proc_macro_attribute]
pub fn connector(arguments: TokenStream, item: TokenStream) -> TokenStream {
    connector::connector(arguments.into(), item.into()).into()
}

/// A line of a connector: changes of `T` that it is told of. The struct implements `Outgoing<T>`.
///
/// It stands on the struct with [`macro@connector`], below it (where it needs no import) or above. The type comes
/// first: an object's struct, or `AnyObject`. Several lines for one type are several subscriptions of the one `Outgoing<T>`; if more than one
/// matches a change, it is delivered once, with as much data as the most demanding of them asks for.
///
/// | Key | Which changes | Default |
/// |---|---|---|
/// | `on(create, update, delete, add_to_site, remove_from_site)` | these operations | all of them |
/// | `data = simple` | the delivery carries the fields; references stay the host's ids | |
/// | `data = simple_snapshot` | … and references are translated | this one |
/// | `data = snapshot` | … and children travel along | |
/// | `sync` | delivered before the logging call returns, where that can be; always a snapshot, so not together with `data` | queued |
/// | `type = "cms.%"` | objects of these types; with `AnyObject` only, and there it must be given | the type of `T` |
/// | `site = "corp"` | objects of these sites, and what is added to them or removed from them | any site, or none |
/// | `global` | objects that belong to no site; not together with `site`, nor with operations on sites | |
/// | `code_name = "admin%"` | objects with these code names | any |
/// | `filter = Self::wants` | those for which this `fn(&ChangeSummary, &Settings) -> bool` says yes | all |
///
/// A global object may be added to sites. `site = "corp"` is told of that, and of nothing else that happens to it: for
/// everything else the site is the one that the object belongs to.
///
/// In patterns `%` stands for any run of characters, everything else for itself; case does not matter. A filter is a
/// function without `self`: it is asked when a change is logged, where there may be no instance.
///
/// ```
/// use bus_core::{AnyObject, BusObject, Change, ChangeSummary, Connector, Cx, Failure, NoSettings, Outgoing, connector};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, BusObject)]
/// # #[object(type = "app.user")]
/// # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
///
/// #[connector(name = "audit")]
/// #[outgoing(User, on(create), data = snapshot, filter = Self::is_staff)]
/// #[outgoing(User, on(delete), data = simple)]
/// #[outgoing(AnyObject, type = "cms.%", site = "corp")]
/// struct Audit;
///
/// impl Audit {
///     fn is_staff(change: &ChangeSummary, _settings: &NoSettings) -> bool {
///         change.code_name.as_deref().is_some_and(|login| login.ends_with("@example.com"))
///     }
/// }
/// # impl Connector for Audit {
/// #     type Settings = NoSettings;
/// #     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> { Ok(Self) }
/// # }
/// impl Outgoing<User> for Audit {
///     async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
/// #       let _ = (change, cx);
/// #       Ok(())
///         // ...
///     }
/// }
/// impl Outgoing<AnyObject> for Audit {
///     async fn deliver(&self, change: Change<AnyObject>, cx: &Cx) -> Result<(), Failure> {
/// #       let _ = (change, cx);
/// #       Ok(())
///         // ...
///     }
/// }
/// # use bus_core::descriptor::DescribedConnector;
/// # assert_eq!(Audit::DESCRIPTOR.outgoing().count(), 3);
/// ```
///
/// # Synchronous lines
///
/// `sync` loses nothing: the delivery is logged first, in the same transaction as the change. The caller then runs it
/// as attempt 1 before the logging call returns, but only if nothing earlier of its object is open and the connector is
/// able to run here and now. Otherwise it is an ordinary queued delivery, as is one whose attempt failed. A failure other
/// than *step aside* and *defer* leaves the synchronous lines of further connectors to the queue, too.
///
/// What is logged inside `deliver`, by applying an external object, or in a transaction of the host's own is always
/// queued.
///
/// ```
/// # use bus_core::{BusObject, Change, Connector, Cx, DataType, Failure, NoSettings, Outgoing, connector};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, BusObject)]
/// # #[object(type = "app.badge")]
/// # struct Badge { #[object(id)] id: i64 }
/// /// Tells the doors whom to let in.
/// #[connector(name = "door")]
/// #[outgoing(Badge, on(update, delete), sync)]
/// struct Door;
/// # impl Connector for Door {
/// #     type Settings = NoSettings;
/// #     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> { Ok(Self) }
/// # }
/// # impl Outgoing<Badge> for Door {
/// #     async fn deliver(&self, _: Change<Badge>, _: &Cx) -> Result<(), Failure> { Ok(()) }
/// # }
/// # use bus_core::descriptor::DescribedConnector;
/// # let line = Door::DESCRIPTOR.outgoing().next().unwrap().subscription;
/// # assert!(line.sync);
/// # assert_eq!(line.data_type, DataType::Snapshot);
/// ```
#[proc_macro_attribute]
pub fn outgoing(arguments: TokenStream, item: TokenStream) -> TokenStream {
    connector::line_first("outgoing", &arguments.into(), item.into()).into()
}

/// A line of a connector: external objects `E` that it accepts. The struct implements `Incoming<E>`.
///
/// It stands on the struct with [`macro@connector`], below it (where it needs no import) or above. The type comes
/// first; each type stands once.
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `key = uid`, `key = header.id` | the field that identifies the external object; its tasks are kept in order by it | none: it must be given, or |
/// | `unordered` | the order of its tasks does not matter; not together with `key` | |
/// | `kind = "contact"` | how it is called when it is logged: lowercase words joined by `_` | the type's name in snake case |
/// | `decode = function` | reads it from the bytes, `fn(&[u8]) -> Result<E, Failure>` | as JSON, by `Deserialize` |
/// | `owns(name, phone)` | the fields of the host's object that it writes; with `AnyObject` as they are called in JSON, `owns("name")` | all of them |
/// | `conflict = host_wins` | who wins where both sides have changed a field since they were equal: `external_wins`, `host_wins`, `newest_wins` (by `Prepared::changed_at`), `merge_fields` (a person decides about such fields), `review` (a person decides about the object where both sides have changed anything) | `external_wins` |
/// | `conflicts(phone = host_wins, name = review)` | the same for single fields of the host's object, named as in `owns`; all but `merge_fields` | what `conflict` says |
///
/// `owns` counts for an object that is there already: of what `prepare_internal_object` answers, only these fields are
/// taken, with the references and the children in them; everything else stays as it is stored. A new object is taken as
/// a whole.
///
/// ```
/// use bus_core::{Accepts, Failure, connector};
/// # use bus_core::{BusObject, Connector, Cx, Incoming, NoSettings, Prepared, Received};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, BusObject)]
/// # #[object(type = "app.order")]
/// # struct Order { #[object(id)] id: i64 }
///
/// struct Header { number: u32 }
/// struct OrderFile { header: Header }
///
/// fn read_order(bytes: &[u8]) -> Result<OrderFile, Failure> {
///     let text = str::from_utf8(bytes)?;
///     Ok(OrderFile { header: Header { number: text.trim().parse()? } })
/// }
///
/// #[connector(name = "edi")]
/// #[incoming(OrderFile, key = header.number, kind = "order", decode = read_order)]
/// struct Edi;
/// # impl Connector for Edi {
/// #     type Settings = NoSettings;
/// #     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> { Ok(Self) }
/// # }
/// # impl Incoming<OrderFile> for Edi {
/// #     type Object = Order;
/// #     async fn prepare_internal_object(
/// #         &self, _: Received<OrderFile, Order>, _: &Cx,
/// #     ) -> Result<Prepared<Order>, Failure> { Ok(Prepared::Ignore) }
/// # }
///
/// assert_eq!(<Edi as Accepts<OrderFile>>::KIND, "order");
/// let order = <Edi as Accepts<OrderFile>>::decode(b"17\n").unwrap();
/// assert_eq!(<Edi as Accepts<OrderFile>>::key(&order).as_deref(), Some("17"));
/// ```
#[proc_macro_attribute]
pub fn incoming(arguments: TokenStream, item: TokenStream) -> TokenStream {
    connector::line_first("incoming", &arguments.into(), item.into()).into()
}

/// Makes a struct with named fields an object of the bus. serde's `Serialize` and `Deserialize` stand beside it.
///
/// Keys on the struct:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `type = "app.user"` | its object type: lowercase words joined by `.`. It is stored; keep it when the struct is renamed | none: it must be given |
/// | `display = "User"` | what people call the type | the struct's name in words |
/// | `view` | a second struct for a type that another struct declares, with some of its fields | it declares the type |
/// | `version = 2` | which version of the type the struct is; stored with each object | 1 |
/// | `from = UserV1` | the struct of the version before; needs `impl From<UserV1> for User` | none, and from version 2 on it must be given |
/// | `crate = path` | where `bus_core` is, for a crate that renamed it | `::bus_core` |
///
/// A view is what a connector in a library names for an object of its host: it is loaded, referred to and delivered as
/// any object, and never written, since what it does not show would be lost.
///
/// A struct whose JSON changes in a way that it could not read what is stored becomes the next version of its type. The old
/// struct is kept, and never saved again; what it has written, objects and tasks, is read as that and made what it is now:
///
/// ```
/// # use bus_core::BusObject;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.user", version = 1)]
/// struct UserV1 { #[object(id)] id: i64, name: String }
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.user", version = 2, from = UserV1)]
/// struct User { #[object(id)] id: i64, first_name: String, last_name: String }
///
/// impl From<UserV1> for User {
///     fn from(was: UserV1) -> Self {
///         let (first, last) = was.name.split_once(' ').unwrap_or(("", &was.name));
///         Self { id: was.id, first_name: first.to_owned(), last_name: last.to_owned() }
///     }
/// }
/// assert_eq!(User::VERSION, 2);
/// ```
///
/// The id stays. What it is found by (GUID, code name, site, parent) is as the old version said until it is saved with a
/// change. Programs of both versions can share a store: the older one leaves what the newer one wrote, parked, to that.
///
/// Keys on fields, each on one field at most:
///
/// | Key | Meaning | Type |
/// |---|---|---|
/// | `id` | its immutable id; exactly one field has it | `i64`, `Uuid`, `String` |
/// | `guid` | its GUID; a nil one is filled in when it is created | `Uuid`, `Option<Uuid>` |
/// | `code_name` | its code name | `String`, `Option<String>` |
/// | `display_name` | what people call this object | `String`, `Option<String>` |
/// | `site` | the site it belongs to | `String`, `Option<String>` |
/// | `parent` | the object beneath which its code name is unique | `Ref<T>`, `Option<Ref<T>>` |
/// | `group` | the group it is in | `Ref<T>`, `Option<Ref<T>>` |
/// | `children` | what it owns, sent inside it (any number of fields) | `Children<T>` |
/// | `bindings` | the objects that it is bound to, many to many (any number of fields) | `Bindings<T>` |
/// | `rule = incremental`, `complete` or `none` | beside `children`: the list holds objects of their own, whose `parent` is this one. What a list that comes with it says: to add and change, to delete the rest, too, or nothing | |
/// | `reference = late` | what a delivery goes without where the external system does not know it yet; an update follows once it does (any number of fields) | `Option<Ref<T>>` |
///
/// A `Ref<T>` needs no key: wherever one stands, translation sees it. `REFERENCES` lists the fields whose type is
/// written out as `Ref<T>`, alone or within `Option`, `Vec` and `Box`, under their names in JSON (serde's `rename` and
/// `rename_all` count).
///
/// Children without a rule are parts: stored in the object, replaced by the list that comes. With a rule they are child
/// objects: saved, subscribed to and delivered by themselves, and with their parent in its snapshots. Bindings are stored in
/// the object; their rule (`incremental` unless said otherwise) is for what comes from an external system, while what the
/// application saves is what there is. In a list that is not saved yet, the parent is left unset:
///
/// ```
/// use bus_core::{BusObject, Children, Ref};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.order", display = "Order")]
/// struct Order {
///     #[object(id)]
///     id: i64,
///     #[object(children, rule = incremental)]
///     lines: Children<Line>,
/// }
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.order_line", display = "Order line")]
/// struct Line {
///     #[object(id)]
///     id: i64,
///     #[object(code_name)]
///     sku: String,
///     #[object(parent)]
///     order: Ref<Order>,
/// }
///
/// let line = Line { id: 0, sku: "bike".to_owned(), order: Ref::host(0) };
/// let order = Order { id: 0, lines: vec![line].into() };
/// assert!(order.lines.is_loaded());
/// ```
///
/// ```
/// use bus_core::{BusObject, Children, Ref};
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "cms.category", display = "Category")]
/// #[serde(rename_all = "camelCase")]
/// struct Category {
///     #[object(id)]
///     id: i64,
///     #[object(guid)]
///     guid: Uuid,
///     #[object(code_name)]
///     code: String,
///     #[object(display_name)]
///     name: String,
///     #[object(site)]
///     site: Option<String>,
///     #[object(parent)]
///     parent: Option<Ref<Category>>,
///     #[object(reference = late)]
///     replaced_by: Option<Ref<Category>>,
///     see_also: Vec<Ref<Category>>,
///     #[object(children)]
///     labels: Children<Label>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Label {
///     language: String,
///     text: String,
/// }
///
/// assert_eq!(Category::TYPE, "cms.category");
/// let references: Vec<_> = Category::REFERENCES.iter().map(|reference| reference.field).collect();
/// assert_eq!(references, ["parent", "replacedBy", "seeAlso"]);
/// ```
#[proc_macro_derive(BusObject, attributes(object))]
pub fn bus_object(item: TokenStream) -> TokenStream {
    object::bus_object(item.into()).into()
}

/// Makes a struct with named fields a page: a node of a site's content tree in one culture. serde's `Serialize` and
/// `Deserialize` stand beside it.
///
/// Keys on the struct:
///
/// | Key | Meaning | Default |
/// |---|---|---|
/// | `class = "app.article"` | its class: lowercase words joined by `.`. It is stored; keep it when the struct is renamed | none: it must be given |
/// | `display = "Article"` | what people call the class | the struct's name in words |
/// | `crate = path` | where `bus_core` is, for a crate that renamed it | `::bus_core` |
///
/// One field has `#[page(node)]` and is a `PageNode`: where the page stands. A `Ref<T>` needs no key. Pages hold no
/// `Children<T>`: their children are pages.
///
/// ```
/// use bus_core::{BusObject, Page, PageNode, Ref};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.user", display = "User")]
/// struct User {
///     #[object(id)]
///     id: i64,
/// }
///
/// #[derive(Serialize, Deserialize, Page)]
/// #[page(class = "app.article", display = "Article")]
/// struct Article {
///     #[page(node)]
///     node: PageNode,
///     title: String,
///     author: Option<Ref<User>>,
/// }
///
/// assert_eq!((Article::CLASS, Article::REFERENCES[0].field), ("app.article", "author"));
/// ```
#[proc_macro_derive(Page, attributes(page))]
pub fn page(item: TokenStream) -> TokenStream {
    page::page(item.into()).into()
}

/// Makes a struct the settings of a connector: its fields become the operator's form, as JSON Schema.
///
/// - Each field has a doc comment: it is the help text.
/// - A field may be left out if it is an `Option` or has `#[serde(default)]`; all others are required.
/// - serde's `rename` and `rename_all` count; a field with `skip` is no setting; `flatten` is refused.
/// - The types are text, numbers, `bool`, `PathBuf`, `Secret` (never shown again), `Option`, `Vec` and
///   `BTreeMap<String, _>` of these, other structs with `#[derive(Settings)]`, and enums.
/// - On an enum whose variants hold no data it makes a choice between words; such an enum is the type of a setting,
///   not settings by itself.
///
/// One key on the type: `#[settings(crate = path)]` says where `bus_core` is, for a crate that renamed it.
///
/// ```
/// use bus_core::{Secret, Settings};
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Settings)]
/// struct CrmSettings {
///     /// Where the CRM answers, such as `https://crm.example.com`.
///     base_url: String,
///     /// The key made under "API access" in the CRM.
///     api_key: Secret,
///     /// What to do with contacts that we do not know.
///     #[serde(default)]
///     strangers: Strangers,
/// }
///
/// #[derive(Default, Deserialize, Settings)]
/// #[serde(rename_all = "snake_case")]
/// enum Strangers {
///     #[default]
///     Ignore,
///     TakeOver,
/// }
///
/// let schema = CrmSettings::schema();
/// assert_eq!(schema["required"], serde_json::json!(["base_url", "api_key"]));
/// assert_eq!(schema["properties"]["api_key"]["x-bus-secret"], true);
/// assert_eq!(schema["properties"]["strangers"]["enum"], serde_json::json!(["ignore", "take_over"]));
/// ```
#[proc_macro_derive(Settings, attributes(settings))]
pub fn settings(item: TokenStream) -> TokenStream {
    settings::settings(item.into()).into()
}
