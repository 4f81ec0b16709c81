//! The bodies of PADDING_NEGOTIATE and PADDING_NEGOTIATED, by which a client starts and stops padding machines at a
//! relay (padding-spec §3). They accept exactly what C Tor accepts, as no other implementation reads them.

use super::{take, take_version, Malformed};

/// The action that is asked for, or was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaddingCommand {
    /// Remove the machine.
    Stop = 1,
    /// Set up the machine.
    Start = 2,
}

/// The relay's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// Done.
    Ok = 1,
    /// Not done.
    Err = 2,
}

/// PADDING_NEGOTIATE: the client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// Start or stop.
    pub command: PaddingCommand,
    /// The kind of machine. The two ends agree on these numbers, so every number is accepted.
    pub machine_type: u8,
    /// The instance of the machine, counted by the client. 0 in a stop means any instance.
    pub machine_ctr: u32,
}

/// PADDING_NEGOTIATED: the relay's answer. Its fields repeat the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Start or stop.
    pub command: PaddingCommand,
    /// Whether it was done.
    pub response: Response,
    /// The kind of machine.
    pub machine_type: u8,
    /// The instance of the machine.
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

    /// The byte for this command.
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

    /// The byte for this response.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

impl Negotiate {
    /// The length of the body in bytes. A longer one is accepted.
    pub const LEN: usize = 8;

    /// Writes the body.
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.machine_ctr.to_be_bytes();
        [VERSION, self.command.to_wire(), self.machine_type, 0, a, b, c, d]
    }

    /// Reads a body. The fourth byte, once "please echo", has no meaning any more, but only 0 and 1 are allowed.
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
    /// The length of the body in bytes. A longer one is accepted.
    pub const LEN: usize = 8;

    /// Writes the body. The response has the place of the request's machine type, which moves one byte on.
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

/// The only version of both.
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
