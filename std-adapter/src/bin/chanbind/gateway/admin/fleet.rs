//! The devices of registries, which all gateways share.

use crate::failure::Failure;
use chanbind::gateway::{DatabaseRegistry, Device};
use std::{future::Future, pin::Pin, sync::Arc};

/// A page of devices, in the order of their names.
pub(super) type Listing<'l> =
    Pin<Box<dyn Future<Output = Result<Vec<Device>, Failure>> + Send + 'l>>;

/// The devices that a kind of proof can admit, enabled or not.
pub(in super::super) trait Fleet: Send + Sync {
    /// Returns the devices behind the name `after`, at most `limit`.
    fn list<'l>(&'l self, after: &'l str, limit: u32) -> Listing<'l>;
}

/// A kind of proof, and its devices.
pub(in super::super) type NamedFleet = (&'static str, Arc<dyn Fleet>);

impl Fleet for DatabaseRegistry {
    fn list<'l>(&'l self, after: &'l str, limit: u32) -> Listing<'l> {
        Box::pin(async move { Ok(DatabaseRegistry::list(self, after, limit).await?) })
    }
}
