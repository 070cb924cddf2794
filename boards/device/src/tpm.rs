use crate::{
    Backoff, ChipError, Observer,
    apart::apart,
    config::Config,
    event::{Event, Failure, Teller},
};
use chanbind_tpm_spi::{
    Error,
    tis::{InterruptPin, ResetPin, Tis, TisBuilder, TisError, Transport},
};
use embedded_hal_async::delay::DelayNs;

/// Looks for the TPM until it is there, as long as that takes, and says each time why it is not: no power, a wire that is loose.
pub async fn find_tpm<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin>(
    tpm: TisBuilder<T, D, R, I>,
    config: &Config<'_>,
    observer: &mut impl Observer,
) -> Tis<T, D, R, I>
where
    TisError<T::Error>: ChipError,
{
    let mut backoff = Backoff::new(config.first_retry_ms, config.longest_retry_ms);
    let mut teller = Teller(observer);
    let failed = |error| {
        teller.tell(&Event::Failed(Failure::Tpm(Error::Chip(error))));
        // There is one board on its bus: nobody to get out of step with.
        let millis = backoff.next(0);
        teller.tell::<TisError<T::Error>>(&Event::Waiting { millis });
        millis
    };
    apart!(tpm.open_when_there(failed))
}
