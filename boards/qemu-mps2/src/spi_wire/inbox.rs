//! The received bytes: stored by the interrupt one at a time, and read by the waiting task.

use core::{cell::RefCell, future::poll_fn, mem, task::Poll};
use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;

/// The maximum number of bytes that one message can clock, and the length of the longest response.
pub(super) const CHUNK_LEN: usize = 64;

struct Inbox {
    /// The number of outstanding bytes of dropped transfers, which precede those of the response.
    stale: usize,
    /// The length of the awaited response.
    expected: usize,
    /// The number of bytes of the response received so far.
    len: usize,
    bytes: [u8; CHUNK_LEN],
}

static INBOX: Mutex<RefCell<Inbox>> = Mutex::new(RefCell::new(Inbox {
    stale: 0,
    expected: 0,
    len: 0,
    bytes: [0; CHUNK_LEN],
}));

/// The task that waits for a response, or for stale bytes.
static WAKER: AtomicWaker = AtomicWaker::new();

fn inbox<R>(f: impl FnOnce(&mut Inbox) -> R) -> R {
    critical_section::with(|cs| f(&mut INBOX.borrow_ref_mut(cs)))
}

impl Inbox {
    fn accept(&mut self, byte: u8) {
        if let Some(stale) = self.stale.checked_sub(1) {
            self.stale = stale;
        } else if self.len < self.expected
            && let Some(place) = self.bytes.get_mut(self.len)
        {
            *place = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    fn is_complete(&self) -> bool {
        self.stale == 0 && self.len == self.expected
    }
}

/// Processes a received byte. An unexpected byte is dropped.
pub(super) fn accept(byte: u8) {
    let is_complete = inbox(|inbox| {
        inbox.accept(byte);
        inbox.is_complete()
    });
    if is_complete {
        WAKER.wake();
    }
}

/// Waits until all outstanding bytes have been received.
async fn complete() {
    poll_fn(|context| {
        WAKER.register(context.waker());
        if inbox(|inbox| inbox.is_complete()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Waits until all stale bytes have been received.
pub(super) async fn stale_bytes() {
    complete().await;
}

/// Gives up on stale bytes, and returns their number.
pub(super) fn forget_stale_bytes() -> usize {
    inbox(|inbox| mem::take(&mut inbox.stale))
}

/// An awaited response. When it is dropped, its outstanding bytes become stale.
pub(super) struct Response(());

impl Response {
    /// Expects `len` further bytes, at most [`CHUNK_LEN`]. Only one response can be awaited at a time.
    pub(super) fn expect(len: usize) -> Self {
        inbox(|inbox| (inbox.expected, inbox.len) = (len.min(CHUNK_LEN), 0));
        Self(())
    }

    /// Waits for the response and copies it to `bytes`.
    pub(super) async fn into(self, bytes: &mut [u8]) {
        complete().await;
        inbox(|inbox| {
            for (byte, received) in bytes.iter_mut().zip(&inbox.bytes) {
                *byte = *received;
            }
        });
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        inbox(|inbox| {
            let outstanding = inbox.expected.saturating_sub(inbox.len);
            inbox.stale = inbox.stale.saturating_add(outstanding);
            (inbox.expected, inbox.len) = (0, 0);
        });
    }
}
