//! A connected connector, whatever its Rust type: what the runtime calls.

use std::any::{Any, type_name};
use std::fmt;

use crate::clock::BoxFuture;
use crate::connector::{Connector, DocumentParams, ObjectParams, ReferencedObject, ReferencedPage};
use crate::context::Cx;
use crate::create_once::Sought;
use crate::failure::Failure;
use crate::name::ObjectType;
use crate::poll::Poll;

/// A connected connector, whatever its Rust type.
pub struct Instance(Box<dyn AnyConnector>);

impl Instance {
    pub(crate) fn of<C: Connector>(connector: C) -> Self {
        Self(Box::new(connector))
    }

    pub(crate) fn get<C: Connector>(&self) -> Result<&C, Failure> {
        self.0.as_any().downcast_ref().ok_or_else(|| {
            Failure::reject(format!("this route belongs to another type than `{}`", type_name::<C>()))
        })
    }

    pub async fn external_object_id(
        &self,
        object: &ReferencedObject,
        cx: &Cx,
    ) -> Result<Option<String>, Failure> {
        self.0.external_object_id(object, cx).await
    }

    pub async fn internal_object_params(
        &self,
        external_id: &str,
        object_type: &ObjectType,
        cx: &Cx,
    ) -> Result<Option<ObjectParams>, Failure> {
        self.0.internal_object_params(external_id, object_type, cx).await
    }

    pub async fn external_document_id(
        &self,
        page: &ReferencedPage,
        cx: &Cx,
    ) -> Result<Option<String>, Failure> {
        self.0.external_document_id(page, cx).await
    }

    pub async fn internal_document_params(
        &self,
        external_id: &str,
        cx: &Cx,
    ) -> Result<Option<DocumentParams>, Failure> {
        self.0.internal_document_params(external_id, cx).await
    }

    pub async fn find_external(&self, sought: &Sought<'_>, cx: &Cx) -> Result<Option<String>, Failure> {
        self.0.find_external(sought, cx).await
    }

    pub async fn flush(&self, cx: &Cx) -> Result<(), Failure> {
        self.0.flush(cx).await
    }

    pub async fn poll(&self, since: Option<&str>, cx: &Cx) -> Result<Poll, Failure> {
        self.0.poll(since, cx).await
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}

/// The object-safe twin of `Connector`.
trait AnyConnector: Send + Sync {
    fn as_any(&self) -> &(dyn Any + Send + Sync);
    fn external_object_id<'a>(
        &'a self,
        object: &'a ReferencedObject,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<String>, Failure>>;
    fn internal_object_params<'a>(
        &'a self,
        external_id: &'a str,
        object_type: &'a ObjectType,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<ObjectParams>, Failure>>;
    fn external_document_id<'a>(
        &'a self,
        page: &'a ReferencedPage,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<String>, Failure>>;
    fn internal_document_params<'a>(
        &'a self,
        external_id: &'a str,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<DocumentParams>, Failure>>;
    fn find_external<'a>(
        &'a self,
        sought: &'a Sought<'a>,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<String>, Failure>>;
    fn flush<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Failure>>;
    fn poll<'a>(&'a self, since: Option<&'a str>, cx: &'a Cx) -> BoxFuture<'a, Result<Poll, Failure>>;
}

impl<C: Connector> AnyConnector for C {
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn external_object_id<'a>(
        &'a self,
        object: &'a ReferencedObject,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move {
            Connector::external_object_id(self, object, cx).await.map_err(|f| f.classified(C::classify))
        })
    }

    fn internal_object_params<'a>(
        &'a self,
        external_id: &'a str,
        object_type: &'a ObjectType,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<ObjectParams>, Failure>> {
        Box::pin(async move {
            Connector::internal_object_params(self, external_id, object_type, cx)
                .await
                .map_err(|f| f.classified(C::classify))
        })
    }

    fn external_document_id<'a>(
        &'a self,
        page: &'a ReferencedPage,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move {
            Connector::external_document_id(self, page, cx).await.map_err(|f| f.classified(C::classify))
        })
    }

    fn internal_document_params<'a>(
        &'a self,
        external_id: &'a str,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<DocumentParams>, Failure>> {
        Box::pin(async move {
            Connector::internal_document_params(self, external_id, cx)
                .await
                .map_err(|f| f.classified(C::classify))
        })
    }

    fn find_external<'a>(
        &'a self,
        sought: &'a Sought<'a>,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move {
            Connector::find_external(self, sought, cx).await.map_err(|f| f.classified(C::classify))
        })
    }

    fn flush<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { Connector::flush(self, cx).await.map_err(|f| f.classified(C::classify)) })
    }

    fn poll<'a>(&'a self, since: Option<&'a str>, cx: &'a Cx) -> BoxFuture<'a, Result<Poll, Failure>> {
        Box::pin(async move { Connector::poll(self, since, cx).await.map_err(|f| f.classified(C::classify)) })
    }
}
