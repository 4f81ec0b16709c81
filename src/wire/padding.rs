//! The bodies of PADDING_NEGOTIATE and PADDING_NEGOTIATED, by which a client starts and stops padding machines at a
//! relay (padding-spec §3). What is accepted and what is not is C Tor's choice to the byte: no other implementation
//! reads them.

use super::{take, take_version, Malformed};

/// What is to be done, or was done, with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaddingCommand {
    /// Take it down.
    Stop = 1,
    /// Set it up.
    Start = 2,
}

/// How the relay answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// Done.
    Ok = 1,
    /// Not done.
    Err = 2,
}

/// PADDING_NEGOTIATE: the client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// Start or stop.
    pub command: PaddingCommand,
    /// Which kind of machine. The numbers are the two ends' agreement, so every one is accepted.
    pub machine_type: u8,
    /// Which instance, counted by the client; a stop with 0 means any.
    pub machine_ctr: u32,
}

/// PADDING_NEGOTIATED: the relay answers. The fields repeat the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Start or stop.
    pub command: PaddingCommand,
    /// Whether it was done.
    pub response: Response,
    /// Which kind of machine.
    pub machine_type: u8,
    /// Which instance.
    pub machine_ctr: u32,
}

impl PaddingCommand {
    /// Reads a command byte.
    pub const fn from_wire(byte: u8) -> Result<Self, Malformed> {
        match byte {
            1 => Ok(Self::Stop),
            2 => Ok(Self::Start),
            _ => Err(Malformed::Value),
        }
    }

    /// The byte that says this.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

impl Response {
    /// Reads a response byte.
    pub const fn from_wire(byte: u8) -> Result<Self, Malformed> {
        match byte {
            1 => Ok(Self::Ok),
            2 => Ok(Self::Err),
            _ => Err(Malformed::Value),
        }
    }

    /// The byte that says this.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

impl Negotiate {
    /// The length of the body. A longer one is tolerated.
    pub const LEN: usize = 8;

    /// The body.
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.machine_ctr.to_be_bytes();
        [VERSION, self.command.to_wire(), self.machine_type, 0, a, b, c, d]
    }

    /// Reads a body. The fourth byte, once "please echo", has no meaning any more, yet only 0 and 1 are allowed in it.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (&[command, machine_type, echo], rest) = take(take_version(body, VERSION)?)?;
        let command = PaddingCommand::from_wire(command)?;
        if echo > 1 {
            return Err(Malformed::Value);
        }
        let (machine_ctr, _) = take(rest)?;
        Ok(Self { command, machine_type, machine_ctr: u32::from_be_bytes(*machine_ctr) })
    }
}

impl Negotiated {
    /// The length of the body. A longer one is tolerated.
    pub const LEN: usize = 8;

    /// The body. The response stands where the question has the machine type, which moves one byte on.
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.machine_ctr.to_be_bytes();
        [VERSION, self.command.to_wire(), self.response.to_wire(), self.machine_type, a, b, c, d]
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (&[command, response, machine_type], rest) = take(take_version(body, VERSION)?)?;
        let command = PaddingCommand::from_wire(command)?;
        let response = Response::from_wire(response)?;
        let (machine_ctr, _) = take(rest)?;
        Ok(Self { command, response, machine_type, machine_ctr: u32::from_be_bytes(*machine_ctr) })
    }
}

/// The one version of both.
const VERSION: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_commands_and_two_responses_exist() {
        for byte in 0..=255 {
            let allowed = byte == 1 || byte == 2;
            assert_eq!(PaddingCommand::from_wire(byte).map(PaddingCommand::to_wire).ok(), allowed.then_some(byte));
            assert_eq!(Response::from_wire(byte).map(Response::to_wire).ok(), allowed.then_some(byte));
        }
    }

    #[test]
    fn question_and_answer_keep_the_machine_type_in_different_places() {
        let body = [0, 2, 1, 1, 0, 0, 0, 7];
        let asked = Negotiate { command: PaddingCommand::Start, machine_type: 1, machine_ctr: 7 };
        let answered =
            Negotiated { command: PaddingCommand::Start, response: Response::Ok, machine_type: 1, machine_ctr: 7 };
        assert_eq!(Negotiate::decode(&body), Ok(asked));
        assert_eq!(Negotiated::decode(&body), Ok(answered));
        assert_eq!(asked.encode()[3], 0);
    }
}
