use std::sync::atomic::{AtomicU64, Ordering};

/// Returns a number that no other call in this process returns: by it, parts that share a connection find their own state.
pub(crate) fn id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
