//! The discharges that a client needs and has not brought: a gateway may fetch them.

use super::{DischargeRequest, DischargeSource, Principal, trust};
use chanbind_core::blessing::{BlessingError, EncodedBlessings, http::MAX_DISCHARGES};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The most third-party caveats of a client that are looked at: for each, signatures may be verified.
const MAX_CHECKED: usize = 2 * MAX_DISCHARGES;

/// The time within which all discharges for a client are fetched.
const LIMIT: Duration = Duration::from_secs(10);

/// The time for which nothing is fetched for a connection after discharges that did not help.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// Returns the third-party caveats in `chains` of the blessings that do not hold, [`MAX_DISCHARGES`] at most. `discharges` are those that there are.
pub(super) fn missing(
    principal: &Principal,
    blessings: &[u8],
    chains: &[usize],
    discharges: &[&[u8]],
    method: &str,
) -> Result<Vec<DischargeRequest>, BlessingError> {
    let encoded = EncodedBlessings::parse(blessings)?;
    let mut checked = 0;
    let mut all = Vec::new();
    trust::with_context(principal, &discharges, method, |context| {
        encoded.blessings().for_each(&mut |place, certificate| {
            if !chains.contains(&place.chain) {
                return Ok(());
            }
            certificate.caveats.for_each(&mut |caveat| {
                let location = caveat.with_third_party(|party| party.location.to_owned());
                let Ok(Some(location)) = location else {
                    return Ok(());
                };
                checked += 1;
                let request = DischargeRequest {
                    location,
                    parameter: caveat.parameter.to_vec(),
                };
                if checked <= MAX_CHECKED
                    && all.len() < MAX_DISCHARGES
                    && !all.contains(&request)
                    && caveat.check(context).is_err_and(trust::is_undischarged)
                {
                    all.push(request);
                }
                Ok(())
            })
        })
    })?;
    Ok(all)
}

/// Fetches discharges. Those that cannot be had in time are left out.
pub(super) async fn fetch(
    source: &dyn DischargeSource,
    requests: Vec<DischargeRequest>,
) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + LIMIT;
    let mut fetched = Vec::new();
    for request in requests {
        let location = request.location.clone();
        let answer = timeout_at(deadline, source.fetch(request)).await;
        match answer.unwrap_or_else(|_| Err("there was no time left".to_owned())) {
            Ok(discharge) => fetched.push(discharge),
            Err(reason) => tracing::info!(location, reason, "no discharge"),
        }
    }
    fetched
}
