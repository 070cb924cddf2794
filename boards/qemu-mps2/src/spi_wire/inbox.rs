//! What comes back on the wire: put there by the interrupt, byte by byte, and taken by the task that waits for it.

use core::{cell::RefCell, future::poll_fn, mem, task::Poll};
use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;

/// Bytes that one message can clock, and the longest answer.
pub(super) const CHUNK_LEN: usize = 64;

struct Inbox {
    /// Bytes still to come that nobody waits for any more; they come before those of the answer.
    stale: usize,
    /// The length of the answer that is waited for.
    expected: usize,
    /// How much of it has come.
    len: usize,
    bytes: [u8; CHUNK_LEN],
}

static INBOX: Mutex<RefCell<Inbox>> = Mutex::new(RefCell::new(Inbox {
    stale: 0,
    expected: 0,
    len: 0,
    bytes: [0; CHUNK_LEN],
}));

/// The task that waits for an answer, or for stale bytes.
static WAKER: AtomicWaker = AtomicWaker::new();

fn inbox<R>(f: impl FnOnce(&mut Inbox) -> R) -> R {
    critical_section::with(|cs| f(&mut INBOX.borrow_ref_mut(cs)))
}

impl Inbox {
    fn accept(&mut self, byte: u8) {
        if self.stale > 0 {
            self.stale -= 1;
        } else if self.len < self.expected
            && let Some(place) = self.bytes.get_mut(self.len)
        {
            *place = byte;
            self.len += 1;
        }
    }

    fn is_complete(&self) -> bool {
        self.stale == 0 && self.len == self.expected
    }
}

/// Takes a byte that has come; one that nobody asked for is dropped.
pub(super) fn accept(byte: u8) {
    let is_complete = inbox(|inbox| {
        inbox.accept(byte);
        inbox.is_complete()
    });
    if is_complete {
        WAKER.wake();
    }
}

/// Until everything has come that was asked for.
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

/// Until the bytes have come that nobody waits for any more.
pub(super) async fn stale_bytes() {
    complete().await;
}

/// Counts no longer on bytes that nobody waits for; how many they were.
pub(super) fn forget_stale_bytes() -> usize {
    inbox(|inbox| mem::take(&mut inbox.stale))
}

/// An answer that is waited for; when this is dropped, what is missing of it is stale.
pub(super) struct Answer(());

impl Answer {
    /// The next `len` bytes, [`CHUNK_LEN`] at most, of what has not been asked for yet. One at a time.
    pub(super) fn expect(len: usize) -> Self {
        inbox(|inbox| (inbox.expected, inbox.len) = (len.min(CHUNK_LEN), 0));
        Self(())
    }

    /// Waits for it.
    pub(super) async fn into(self, bytes: &mut [u8]) {
        complete().await;
        inbox(|inbox| {
            for (byte, answered) in bytes.iter_mut().zip(&inbox.bytes) {
                *byte = *answered;
            }
        });
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        inbox(|inbox| {
            inbox.stale += inbox.expected - inbox.len;
            (inbox.expected, inbox.len) = (0, 0);
        });
    }
}
