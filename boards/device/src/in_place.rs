//! Futures that are built in place, off the stack.
//!
//! The future of a TLS handshake has thousands of bytes. Written as `handshake().await` it is built on the stack and copied into the
//! state of the awaiting future, and the room for that copy stays in a frame which exists while the handshake computes; so does the
//! room of all steps that the compiler has put into that frame. With [`await_in_place!`] neither does.

use core::{
    pin::Pin,
    task::{Context, Poll},
};

/// Builds a future in place and awaits it: `await_in_place!(handshake(a, b))`; or, with a time limit, as a step that may time out:
/// `await_in_place!(handshake(a, b), Step::Handshake, limit)`. Values that the expression names move into it: take references beforehand.
macro_rules! await_in_place {
    ($future:expr) => {{
        let mut slot = core::pin::pin!(None);
        $crate::in_place::fill(slot.as_mut(), move || $future);
        $crate::in_place::InPlace::new(slot).await
    }};
    ($future:expr, $step:expr, $limit:expr) => {{
        let mut slot = core::pin::pin!(None);
        $crate::in_place::fill(slot.as_mut(), move || $future);
        embassy_time::with_timeout($limit, $crate::in_place::InPlace::new(slot))
            .await
            .map_err(|_| $crate::event::Failure::TimedOut($step))
    }};
}

pub(crate) use await_in_place;

#[inline(never)]
pub(crate) fn fill<F>(mut slot: Pin<&mut Option<F>>, make: impl FnOnce() -> F) {
    slot.set(Some(make()));
}

/// A future in a slot, polled in a frame of its own.
pub(crate) struct InPlace<'f, F>(Pin<&'f mut Option<F>>);

impl<'f, F> InPlace<'f, F> {
    pub(crate) fn new(slot: Pin<&'f mut Option<F>>) -> Self {
        Self(slot)
    }
}

impl<F: Future> Future for InPlace<'_, F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }
}
