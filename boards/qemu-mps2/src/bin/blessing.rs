//! A benchmark of the verification of a server's blessings: `cargo x bench` makes QEMU record the executed instructions. The input is in the file
//! `blessing.bin`: fields that are each preceded by their length in two bytes.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{benchmark, stack};
use chanbind_core::{
    blessing::{
        AccessList, Algorithms, ClientExchange, ClientPrincipal, EncodedBlessings, Evidence,
        NameList, Pattern, Root, Roots, Time, Timestamp, check_server,
    },
    exporter::ExporterSecret,
    wire::{Reader, Truncated},
};
use cortex_m_rt::entry;
use defmt::unwrap;

/// The input.
struct Input<'i> {
    /// Blessings with a chain of two certificates, and an Auth message for the connection.
    evidence: Evidence<'i>,
    /// The key of the root.
    root: &'i [u8],
    /// Public key, digest and signature for each of the three signatures.
    signatures: [&'i [u8]; 3],
}

#[entry]
fn main() -> ! {
    let mut bytes = [0; 4096];
    let len = unwrap!(benchmark::read(c"blessing.bin", &mut bytes).ok());
    let input = unwrap!(Input::parse(bytes.get(..len).unwrap_or_default()).ok());
    let secret = ExporterSecret::sha256(&[7; 32]);
    let used = benchmark::prepare_stack();
    let is_trusted = verify(&secret, &input);
    let high_water = stack::high_water();
    let all_valid = is_trusted & bare(&input);
    benchmark::finish(high_water.saturating_sub(used), all_valid)
}

impl<'i> Input<'i> {
    fn parse(bytes: &'i [u8]) -> Result<Self, Truncated> {
        let mut fields = Reader::new(bytes);
        let evidence = Evidence {
            blessings: fields.sized16()?,
            auth: fields.sized16()?,
            ..Evidence::default()
        };
        Ok(Self {
            evidence,
            root: fields.sized16()?,
            signatures: [fields.sized16()?, fields.sized16()?, fields.sized16()?],
        })
    }
}

/// A client that trusts the gateway of one root.
struct Client<'i> {
    roots: Known<'i>,
    algorithms: Algorithms,
    own: &'i [u8],
}

/// The root.
struct Known<'i>([Root<'i>; 1]);

impl Roots for Known<'_> {
    fn are_of(&self, public_key: &[u8], name: &str) -> bool {
        self.0.as_slice().are_of(public_key, name)
    }
}

impl ClientPrincipal for Client<'_> {
    fn blessings(&self) -> &[u8] {
        self.own
    }

    fn roots(&self) -> &dyn Roots {
        &self.roots
    }

    fn trusts(&self, names: &NameList) -> bool {
        let servers = AccessList {
            admit: &[Pattern("factory:gateway")],
            exclude: &[],
        };
        servers.admits(names)
    }

    fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }

    fn time(&self, _: Option<u64>) -> Time {
        Time::At(Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        })
    }
}

/// Verifies the server's blessings and its signature over the connection's binding, and decides whether to trust it.
#[inline(never)]
fn verify(secret: &ExporterSecret, input: &Input<'_>) -> bool {
    let (Ok(exchange), Ok(encoded)) = (
        ClientExchange::new(secret),
        EncodedBlessings::parse(input.evidence.blessings),
    ) else {
        return false;
    };
    let client = Client {
        roots: Known([Root {
            public_key: input.root,
            pattern: Pattern("factory"),
        }]),
        algorithms: Algorithms::DEFAULT,
        // Its own blessings have one chain too.
        own: input.evidence.blessings,
    };
    let Ok(server) = exchange.verify(&encoded, &input.evidence, &client.algorithms) else {
        return false;
    };
    let no_discharges: &[&[u8]] = &[];
    check_server(&client, &server, &no_discharges, None).is_ok()
}

#[inline(never)]
fn bare(input: &Input<'_>) -> bool {
    let [first, second, own] = input.signatures;
    benchmark::is_valid(first) & benchmark::is_valid(second) & benchmark::is_valid(own)
}
