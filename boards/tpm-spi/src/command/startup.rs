use super::{Command, CommandCode, Entities, Handle, NONE};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// The type of a startup or shutdown, TPM_SU: selects the state that survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartupType {
    /// TPM_SU_CLEAR: no state survives.
    Clear,
    /// TPM_SU_STATE: the state that the last shutdown saved survives.
    State,
}

impl StartupType {
    fn code(self) -> u16 {
        match self {
            Self::Clear => 0,
            Self::State => 1,
        }
    }
}

/// TPM2_Startup (Part 3 section 9.3): the first command after a reset.
#[derive(Debug)]
pub struct Startup(pub StartupType);

/// TPM2_Shutdown (Part 3 section 9.4): the last command before a loss of power.
#[derive(Debug)]
pub struct Shutdown(pub StartupType);

/// TPM2_SelfTest (Part 3 section 10.2): runs a self-test.
#[derive(Debug)]
pub struct SelfTest {
    /// True to test all functions, false to test only those that are not tested yet.
    pub full_test: bool,
}

/// TPM2_GetTestResult (Part 3 section 10.4): returns the result of the self-test.
#[derive(Debug)]
pub struct GetTestResult;

/// The response to [`GetTestResult`].
#[derive(Debug)]
pub struct TestResult<'r> {
    /// Details of the result, in a format that the vendor defines.
    pub data: &'r [u8],
    /// The response code of the test: 0 if it passed; decode other codes with [`super::ResponseCode::new`].
    pub code: u32,
}

macro_rules! without_response {
    ($name:ty, $code:ident, |$command:ident, $out:ident| $parameters:expr) => {
        impl Command for $name {
            const CODE: CommandCode = CommandCode::$code;
            const AUTHORIZATIONS: usize = 0;
            type Response<'r> = ();

            fn entities(&self) -> Entities<'_> {
                NONE
            }

            fn parameters(&self, $out: &mut Writer<'_>) -> Result<(), Full> {
                let $command = self;
                $parameters
            }

            fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
                Ok(())
            }
        }
    };
}

without_response!(Startup, STARTUP, |command, out| out.u16(command.0.code()));
without_response!(Shutdown, SHUTDOWN, |command, out| out.u16(command.0.code()));
without_response!(SelfTest, SELF_TEST, |command, out| out
    .u8(u8::from(command.full_test)));

impl Command for GetTestResult {
    const CODE: CommandCode = CommandCode::GET_TEST_RESULT;
    const AUTHORIZATIONS: usize = 0;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = TestResult<'r>;

    fn entities(&self) -> Entities<'_> {
        NONE
    }

    fn parameters(&self, _: &mut Writer<'_>) -> Result<(), Full> {
        Ok(())
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        Ok(TestResult {
            data: parameters.sized16()?,
            code: parameters.u32()?,
        })
    }
}
