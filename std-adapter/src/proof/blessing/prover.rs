use super::{ALGORITHMS, MAX_BLESSINGS_LEN, PeerPatterns, Principal, trust::now};
use crate::proof::{KeyAnswer, KeyHolder};
use chanbind_core::{
    blessing::{
        Algorithms, ClientPrincipal, DischargeList, NameList, Prover, Roots, Time,
        http::MAX_DISCHARGES,
    },
    proof::KeyRequest,
};
use std::sync::Arc;

/// A prover of blessings; see [`prover`].
pub type BlessingProver = Prover<Client, Vec<u8>>;

/// A principal as a client, with the servers that it trusts. It is also the holder of its key.
#[derive(Debug, Clone)]
pub struct Client {
    principal: Arc<Principal>,
    servers: PeerPatterns,
}

/// Creates a prover that shows the blessings of `principal` to servers with names that `servers` admits, and nothing to others.
#[must_use]
pub fn prover(principal: &Arc<Principal>, servers: &PeerPatterns) -> BlessingProver {
    let client = Client {
        principal: Arc::clone(principal),
        servers: servers.clone(),
    };
    Prover::new(client, vec![0; MAX_BLESSINGS_LEN])
}

impl ClientPrincipal for Client {
    fn blessings(&self) -> &[u8] {
        self.principal.blessings()
    }

    fn discharges(&self) -> DischargeList<'_> {
        let discharges = self.principal.discharges().iter();
        discharges.map(Vec::as_slice).take(MAX_DISCHARGES).collect()
    }

    fn roots(&self) -> &dyn Roots {
        self.principal.roots()
    }

    fn trusts(&self, names: &NameList) -> bool {
        self.servers.admits(names)
    }

    fn algorithms(&self) -> &Algorithms {
        &ALGORITHMS
    }

    fn time(&self, _: Option<u64>) -> Time {
        now()
    }
}

impl KeyHolder for Client {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        self.principal.key().answer(request)
    }
}
