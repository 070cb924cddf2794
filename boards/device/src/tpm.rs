use crate::{
    Backoff, ChipError, Observer,
    config::Config,
    event::{Event, Failure, Reporter},
    in_place::await_in_place,
};
use chanbind_tpm_spi::{
    Chip, Error, Tpm,
    command::{ErrorCode, ResponseCode, SelfTest},
    tis::{InterruptPin, ResetPin, Tis, TisBuilder, TisError, Transport},
};
use embedded_hal_async::delay::DelayNs;

/// A measure that may bring back a TPM that has failed.
#[derive(Clone, Copy)]
pub(crate) enum Cure {
    Nothing,
    /// A reset by its pin, where the board has one.
    Reset,
    SelfTest,
}

impl Cure {
    pub(crate) fn of<E>(failure: &Failure<E>) -> Self {
        match failure {
            Failure::Tpm(Error::Tpm { code, .. }) if code.needs_reset() => Self::Reset,
            Failure::Tpm(Error::Tpm {
                code: ResponseCode::Error(ErrorCode::NEEDS_TEST),
                ..
            }) => Self::SelfTest,
            _ => Self::Nothing,
        }
    }

    /// Applies it. The next attempt shows whether it helped.
    pub(crate) async fn apply<C: Chip>(self, tpm: &mut Tpm<'_, C>) {
        match self {
            Self::Nothing => {}
            Self::Reset => {
                let _ = tpm.chip_mut().reset().await;
            }
            Self::SelfTest => {
                let _ = tpm.execute(&SelfTest { full_test: false }, &mut []).await;
            }
        }
    }
}

/// Searches for the TPM until it answers, however long that takes, and reports each failure.
pub async fn find_tpm<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin>(
    tpm: TisBuilder<T, D, R, I>,
    config: &Config<'_>,
    observer: &mut impl Observer,
) -> Tis<T, D, R, I>
where
    TisError<T::Error>: ChipError,
{
    let mut backoff = Backoff::new(config.first_retry_ms, config.longest_retry_ms);
    let mut reporter = Reporter(observer);
    let failed = |error| {
        reporter.report(&Event::Failed(Failure::Tpm(Error::Chip(error))));
        // The board is alone on its bus, so it needs no random part of the pause.
        let millis = backoff.next(0);
        reporter.report::<TisError<T::Error>>(&Event::Waiting { millis });
        millis
    };
    await_in_place!(tpm.open_when_there(failed))
}
