//! What a connector author implements whose code blocks its thread: the same words as for async code, without `async`.
//!
//! `#[connector(name = "...", blocking)]` chooses them for all lines of a connector. Each call of `deliver` or
//! `prepare_internal_object` has a thread of the bus to itself while it lasts.
//!
//! ```
//! use bus_core::{Change, Connector, Cx, Failure, NoSettings, blocking, connector};
//! # use bus_core::BusObject;
//! # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
//! # #[object(type = "app.user")]
//! # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
//! use std::fs;
//! use std::path::PathBuf;
//!
//! /// Writes a file for each user.
//! #[connector(name = "user-files", blocking)]
//! #[outgoing(User)]
//! struct UserFiles {
//!     folder: PathBuf,
//! }
//!
//! impl Connector for UserFiles {
//!     type Settings = NoSettings;
//!     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
//!         let folder = PathBuf::from("users");
//!         fs::create_dir_all(&folder)?;
//!         Ok(Self { folder })
//!     }
//! }
//!
//! impl blocking::Outgoing<User> for UserFiles {
//!     fn deliver(&self, change: Change<User>, _: &Cx) -> Result<(), Failure> {
//!         fs::write(self.folder.join(change.object.id.to_string()), &change.object.login)?;
//!         Ok(())
//!     }
//! }
//! ```
//!
//! [`Connector`] is the same for both kinds. Its methods stay `async`, and in a connector with a blocking line they
//! may block like the rest of it.
//!
//! # Calls that take too long
//!
//! Nobody can end a thread from outside. A blocking call past the call time-out goes on and keeps the order of its object
//! until it really returns; what it answers then counts, however late. Its slot is replaced meanwhile, so that other
//! objects go on; when more than 4 calls of a queue are late, nothing more of it is called and the connector is shown as
//! unreachable until some of them return. Whoever waits for a synchronous delivery waits as long. At shutdown a call that
//! is still running after the grace is abandoned with its thread, and its delivery comes again. So give the client
//! time-outs of its own, and ask [`Cx::is_cancelled`] between the steps of a long call.
//!
//! `connect`, `flush` and the call-backs are not waited for: past the time-out they count as failed, and their thread is
//! left to itself.

use crate::change::Change;
use crate::connector::{Applicable, Connector, Prepared, Received};
use crate::context::Cx;
use crate::declared::{Accepts, SubscribesTo};
use crate::failure::Failure;

/// How a blocking connector tells its external system of changes of `T`.
///
/// The delivery contract of [`connector::Outgoing`](crate::connector::Outgoing) holds, except for its time-out:
/// nothing is dropped. A call past it keeps the order of its object until it really returns, and its answer counts.
#[diagnostic::on_unimplemented(
    message = "blocking connector `{Self}` declares `outgoing({T})` but does not say how to deliver it",
    label = "no `impl blocking::Outgoing<{T}> for {Self}`",
    note = "write `impl bus_core::blocking::Outgoing<{T}> for {Self}`, or take the line away",
    note = "an async `impl Outgoing<{T}>` is called only without `blocking` in `#[connector(...)]`"
)]
pub trait Outgoing<T>: Connector + SubscribesTo<T> {
    /// Tells the external system, on a thread of the bus that it may block. `Ok(())` means that it knows (or will,
    /// once `flush` has succeeded).
    fn deliver(&self, change: Change<T>, cx: &Cx) -> Result<(), Failure>;
}

/// How a blocking connector turns an external object `E` into one of the host's.
///
/// The contract of [`connector::Incoming`](crate::connector::Incoming) holds, except for its time-out: nothing is
/// dropped. A call past it keeps the order of its object until it really returns, and its answer counts.
#[diagnostic::on_unimplemented(
    message = "blocking connector `{Self}` declares `incoming({E})` but does not say what it becomes",
    label = "no `impl blocking::Incoming<{E}> for {Self}`",
    note = "write `impl bus_core::blocking::Incoming<{E}> for {Self}`, or take the line away",
    note = "an async `impl Incoming<{E}>` is called only without `blocking` in `#[connector(...)]`"
)]
pub trait Incoming<E>: Connector + Accepts<E> {
    /// What it becomes in the host.
    type Object: Applicable;

    /// Turns the external object into the host's object, on a thread of the bus that it may block. Start from
    /// `received.existing`, where there is one, and write only the fields that the external system owns. References
    /// are given as `Ref::external`; the bus translates them afterwards.
    fn prepare_internal_object(
        &self,
        received: Received<E, Self::Object>,
        cx: &Cx,
    ) -> Result<Prepared<Self::Object>, Failure>;
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending};
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use serde::{Deserialize, Serialize};
    use uuid::Uuid;

    use super::*;
    use crate::change::{Bound, ChangeFacts};
    use crate::connector::ReceivedFacts;
    use crate::descriptor::{ConnectorDescriptor, IncomingCall, PreparedObject, Route};
    use crate::{
        BoxFuture, BusObject, Cancellation, Clock, ConnectorName, DataType, DeliveryId, FailureKind, Handles,
        NoSettings, ObjectId, ObjectKey, ObjectOperation, ObjectType, Subscription, TaskId, Timestamp,
        payload::Payload,
    };

    #[derive(Serialize, Deserialize, BusObject)]
    #[object(type = "app.page")]
    struct Page {
        #[object(id)]
        id: i64,
    }

    /// Prints pages, sheet by sheet; answers when it was told to stop.
    struct Printer;

    impl Connector for Printer {
        type Settings = NoSettings;
        async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
            Ok(Self)
        }
    }

    impl SubscribesTo<Page> for Printer {}

    impl Outgoing<Page> for Printer {
        fn deliver(&self, change: Change<Page>, cx: &Cx) -> Result<(), Failure> {
            for sheet in 0..change.object.id {
                if cx.is_cancelled() {
                    return Err(Failure::defer(format!("stopped before sheet {sheet}")));
                }
            }
            change.bind("printed");
            Ok(())
        }
    }

    struct Scan(String);

    impl Accepts<Scan> for Printer {
        const KIND: &'static str = "scan";

        fn key(external: &Scan) -> Option<String> {
            Some(external.0.clone())
        }

        fn decode(bytes: &[u8]) -> Result<Scan, Failure> {
            Ok(Scan(str::from_utf8(bytes)?.to_owned()))
        }
    }

    impl Incoming<Scan> for Printer {
        type Object = Page;
        fn prepare_internal_object(
            &self,
            received: Received<Scan, Page>,
            _: &Cx,
        ) -> Result<Prepared<Page>, Failure> {
            Ok(Page { id: received.object.0.parse()? }.into())
        }
    }

    static PRINTER: ConnectorDescriptor = ConnectorDescriptor::new::<Printer>("printer").routes(
        const {
            &[
                Route::outgoing_blocking::<Printer, Page>(Subscription::everything().synchronous(), None),
                Route::incoming_blocking::<Printer, Scan>(),
            ]
        },
    );

    #[test]
    fn a_hand_written_descriptor_says_that_its_routes_block() {
        assert!(PRINTER.blocks());
        assert!(PRINTER.routes.iter().all(Route::blocks));
        let outgoing = PRINTER.outgoing().next().unwrap();
        assert!(outgoing.blocking);
        assert_eq!(outgoing.exact_type, Some("app.page"));
        assert_eq!(outgoing.subscription, Subscription::to("app.page").synchronous());
        let incoming = PRINTER.incoming().next().unwrap();
        assert!(incoming.blocking);
        assert_eq!((incoming.kind, incoming.object_type), ("scan", Some("app.page")));
        assert_eq!((incoming.key)(b"7").unwrap().as_deref(), Some("7"));
        assert!(!ConnectorDescriptor::new::<Printer>("nothing").blocks());
    }

    #[test]
    fn a_blocking_route_has_answered_when_it_was_polled_once() {
        let cx = cx(false);
        let printer = run((PRINTER.connect)(serde_json::json!({}), &cx)).unwrap();

        let bound = Bound::default();
        let page = Payload::of(&Page { id: 3 }).unwrap();
        let deliver = PRINTER.outgoing().next().unwrap().deliver;
        run(deliver(&printer, page.clone(), facts(bound.clone()), &cx)).unwrap();
        assert_eq!(bound.take().as_deref(), Some("printed"));

        let prepare = PRINTER.incoming().next().unwrap().prepare;
        let prepared = run(prepare(&printer, call(b"7"), &cx)).unwrap();
        assert!(matches!(prepared, PreparedObject::Object { external_id: None, .. }), "{prepared:?}");
        let failure = run(prepare(&printer, call(b"seven"), &cx)).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Retry, "{failure}");
    }

    #[test]
    fn a_blocking_call_sees_that_the_bus_shuts_down() {
        let cx = cx(true);
        let printer = run((PRINTER.connect)(serde_json::json!({}), &cx)).unwrap();
        let page = Payload::of(&Page { id: 3 }).unwrap();
        let deliver = PRINTER.outgoing().next().unwrap().deliver;
        let failure = run(deliver(&printer, page, facts(Bound::default()), &cx)).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Defer);
        assert_eq!(failure.message(), "stopped before sheet 0");
    }

    #[test]
    fn a_synchronous_line_carries_a_snapshot_whatever_it_says() {
        const LESS: Subscription = Subscription::everything().synchronous().data(DataType::Simple);
        let Route::Outgoing(route) = Route::outgoing_blocking::<Printer, Page>(LESS, None) else { panic!() };
        assert_eq!(route.subscription.data_type, DataType::Snapshot);
    }

    fn key() -> ObjectKey {
        ObjectKey { object_type: ObjectType::parse("app.page").unwrap(), id: ObjectId::Number(3) }
    }

    fn facts(bound: Bound) -> ChangeFacts {
        ChangeFacts {
            delivery: DeliveryId(1),
            task: TaskId(1),
            key: key(),
            operation: ObjectOperation::Update.into(),
            data_type: DataType::Snapshot,
            attempt: 1,
            idempotency_key: Uuid::nil(),
            site: None,
            external_id: None,
            origin: None,
            logged_at: Timestamp::EPOCH,
            bound,
        }
    }

    fn call(bytes: &[u8]) -> IncomingCall {
        IncomingCall {
            bytes: bytes.to_vec(),
            existing: None,
            facts: ReceivedFacts {
                operation: ObjectOperation::Update.into(),
                data_type: DataType::SimpleSnapshot,
                site: None,
                key: None,
                attempt: 1,
            },
        }
    }

    fn cx(cancelled: bool) -> Cx {
        let name = ConnectorName::parse("printer").unwrap();
        Cx::new(name, Handles::default(), Arc::new(Stopped), Arc::new(Sign(cancelled)))
    }

    struct Sign(bool);

    impl Cancellation for Sign {
        fn is_cancelled(&self) -> bool {
            self.0
        }

        fn cancelled(&self) -> BoxFuture<'_, ()> {
            Box::pin(pending())
        }
    }

    /// A clock that stands still.
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::EPOCH
        }

        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'_, ()> {
            Box::pin(pending())
        }
    }

    /// One poll is all that a blocking call needs.
    fn run<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }
}
