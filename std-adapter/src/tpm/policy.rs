//! The policies that a key file can require: PolicyPCR and PolicyAuthValue.

use super::{
    PolicyCommand, TpmError,
    keyfile::{POLICY_AUTH_VALUE, POLICY_PCR},
};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};
use tss_esapi::{
    Context, WrapperErrorKind,
    interface_types::{
        algorithm::HashingAlgorithm,
        session_handles::{AuthSession, PolicySession},
    },
    structures::{Digest, PcrSelectionList, PcrSelectionListBuilder, PcrSlot},
};

/// A selection of platform configuration registers (PCRs) 0 to 23 of one bank: `sha1`, `sha256` or `sha384`. Its text form is like
/// `sha256:0,2,7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcrSelection {
    bank: Bank,
    registers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bank {
    Sha1,
    Sha256,
    Sha384,
}

impl Bank {
    const ALL: [(&'static str, Self); 3] = [
        ("sha1", Self::Sha1),
        ("sha256", Self::Sha256),
        ("sha384", Self::Sha384),
    ];

    fn algorithm(self) -> (HashingAlgorithm, u16) {
        match self {
            Self::Sha1 => (HashingAlgorithm::Sha1, 0x0004),
            Self::Sha256 => (HashingAlgorithm::Sha256, 0x000b),
            Self::Sha384 => (HashingAlgorithm::Sha384, 0x000c),
        }
    }
}

impl FromStr for PcrSelection {
    type Err = TpmError;

    fn from_str(text: &str) -> Result<Self, TpmError> {
        let invalid = || TpmError::PcrSelection(text.to_owned());
        let (bank, registers) = text.split_once(':').ok_or_else(invalid)?;
        let bank = Bank::ALL
            .iter()
            .find(|(name, _)| *name == bank)
            .ok_or_else(invalid)?
            .1;
        let mut registers = registers
            .split(',')
            .map(|register| {
                register
                    .parse()
                    .ok()
                    .filter(|register| *register < 24)
                    .ok_or_else(invalid)
            })
            .collect::<Result<Vec<u8>, _>>()?;
        registers.sort_unstable();
        registers.dedup();
        Ok(Self { bank, registers })
    }
}

impl fmt::Display for PcrSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Bank::ALL
            .iter()
            .find(|(_, bank)| *bank == self.bank)
            .map_or("", |(name, _)| name);
        let registers: Vec<_> = self.registers.iter().map(u8::to_string).collect();
        write!(f, "{name}:{}", registers.join(","))
    }
}

impl PcrSelection {
    /// Reads the registers and returns the policy command that requires their current values.
    pub(super) fn command(&self, context: &mut Context) -> tss_esapi::Result<PolicyCommand> {
        let mut values = Sha256::new();
        // Read the registers one by one, because a TPM returns at most eight values per command.
        for register in &self.registers {
            let (_, _, digests) = context.pcr_read(list(self.bank, &[*register])?)?;
            let value = digests.value().first().ok_or(WRONG_VALUE)?;
            values.update(value.value());
        }
        let registers = self.registers.iter();
        let bits = registers.fold(0u32, |bits, register| bits | 1 << register);
        let [low, middle, high, _] = bits.to_le_bytes();
        let bank = self.bank.algorithm().1.to_be_bytes();
        Ok(PolicyCommand::Pcr {
            digest: values.finalize().to_vec(),
            selection: [&[0, 0, 0, 1][..], &bank, &[3, low, middle, high]].concat(),
        })
    }
}

/// Computes the policy digest of `commands` (TPM 2.0 Part 3 sections 23.7 and 23.17). It is computed in software, because an
/// attacker on the bus could forge a digest that comes from the TPM.
pub(super) fn digest(commands: &[PolicyCommand]) -> [u8; 32] {
    commands.iter().fold([0; 32], |digest, command| {
        let hash = Sha256::new().chain_update(digest);
        match command {
            PolicyCommand::Pcr { digest, selection } => hash
                .chain_update(POLICY_PCR.to_be_bytes())
                .chain_update(selection)
                .chain_update(digest),
            PolicyCommand::AuthValue => hash.chain_update(POLICY_AUTH_VALUE.to_be_bytes()),
        }
        .finalize()
        .into()
    })
}

/// Restarts a policy session and carries out `commands` in it.
pub(super) fn satisfy(
    context: &mut Context,
    session: AuthSession,
    commands: &[PolicyCommand],
) -> tss_esapi::Result<()> {
    let session = PolicySession::try_from(session)?;
    context.policy_restart(session)?;
    for command in commands {
        match command {
            PolicyCommand::Pcr { digest, selection } => {
                context.policy_pcr(
                    session,
                    Digest::try_from(digest.clone())?,
                    unmarshal(selection)?,
                )?;
            }
            PolicyCommand::AuthValue => context.policy_auth_value(session)?,
        }
    }
    Ok(())
}

/// Parses a TPML_PCR_SELECTION (TPM 2.0 Part 2 section 10.9.7) that selects one bank.
fn unmarshal(selection: &[u8]) -> tss_esapi::Result<PcrSelectionList> {
    let unsupported = || tss_esapi::Error::WrapperError(WrapperErrorKind::UnsupportedParam);
    let [0, 0, 0, 1, high, low, size, bits @ ..] = selection else {
        return Err(unsupported());
    };
    let algorithm = u16::from_be_bytes([*high, *low]);
    let bank = Bank::ALL
        .iter()
        .find(|(_, bank)| bank.algorithm().1 == algorithm)
        .ok_or_else(unsupported)?
        .1;
    if bits.len() != usize::from(*size) || bits.len() > 3 {
        return Err(unsupported());
    }
    let registers: Vec<u8> = (0..24)
        .filter(|register| {
            bits.get(usize::from(register / 8))
                .is_some_and(|byte| byte & (1 << (register % 8)) != 0)
        })
        .collect();
    list(bank, &registers)
}

fn list(bank: Bank, registers: &[u8]) -> tss_esapi::Result<PcrSelectionList> {
    let slots = registers
        .iter()
        .map(|register| PcrSlot::try_from(1u32 << register))
        .collect::<tss_esapi::Result<Vec<_>>>()?;
    PcrSelectionListBuilder::new()
        .with_selection(bank.algorithm().0, &slots)
        .build()
}

const WRONG_VALUE: tss_esapi::Error =
    tss_esapi::Error::WrapperError(WrapperErrorKind::WrongValueFromTpm);
