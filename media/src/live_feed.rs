//! A live source as packets of one of its streams: opened, waited for, interrupted, begun again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crate::av::{AvError, Input, Interrupt, Medium, Packet, Read};
use crate::clip;
use crate::live_address::{Address, hide_secrets, protocols};
use crate::live_error::LiveError;

/// So many errors in a row are the end, or with a file, the end of the file.
const MAX_READ_ERRORS: u32 = 16;
/// After so long, a source that had nothing is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(3);

/// An open source. Nothing of it is decoded here.
pub(crate) struct Feed {
    address: Address,
    /// For errors.
    label: String,
    medium: Medium,
    interrupt: Arc<Interrupt>,
    input: Input,
    packet: Packet,
    /// The stream that is read; before one is selected, none.
    stream: i32,
}

impl Feed {
    /// Opens what `url` names. `stop` ends any call that waits, and so does a wait of more than `patience`.
    pub fn open(
        url: &str,
        medium: Medium,
        stop: Arc<AtomicBool>,
        patience: Duration,
    ) -> Result<Feed, LiveError> {
        let address = Address::parse(url)?;
        let label = hide_secrets(url);
        let interrupt = Interrupt::new(stop, patience);
        let input = open_input(&address, medium, &label, &interrupt)?;
        let packet = Packet::new().map_err(|error| undecodable(&label, error))?;
        Ok(Feed {
            address,
            label,
            medium,
            interrupt,
            input,
            packet,
            stream: -1,
        })
    }

    /// After the end: opens a file once more; all else has ended. A stream is to be selected again.
    pub fn begin_again(&mut self) -> Result<(), LiveError> {
        if !self.is_file() {
            return Err(LiveError::Ended {
                address: self.address(),
            });
        }
        // Opened anew and not rewound: not every container can seek, and a file that was replaced is seen.
        self.input = open_input(&self.address, self.medium, &self.label, &self.interrupt)?;
        self.stream = -1;
        Ok(())
    }

    /// Reads only this stream from now on.
    pub fn select(&mut self, index: i32) {
        self.input.select(index);
        self.stream = index;
    }

    /// The next packet of the selected stream is in [`packet`](Self::packet); false at the end.
    pub fn read(&mut self) -> Result<bool, LiveError> {
        self.interrupt.begin();
        let mut errors = 0;
        loop {
            let read = self.input.read_once(&mut self.packet);
            // First, since a call that was interrupted may return any error, or the end.
            if !matches!(read, Read::Packet) {
                self.check()?;
            }
            match read {
                Read::Packet if self.packet.stream() == self.stream => return Ok(true),
                Read::Packet => errors = 0,
                Read::Later => thread::sleep(ASK_AGAIN),
                Read::End => return Ok(false),
                Read::Failed(_) if errors < MAX_READ_ERRORS => errors += 1,
                Read::Failed(_) if self.is_file() => return Ok(false),
                Read::Failed(error) => return Err(self.broken(error.to_string())),
            }
            // Other streams than the selected one are silence, too.
            self.check()?;
        }
    }

    pub fn packet(&self) -> &Packet {
        &self.packet
    }

    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Whether it is a file on this machine, which is played in a loop.
    pub fn is_file(&self) -> bool {
        matches!(self.address, Address::File(_))
    }

    /// Whether packets come as fast as they are asked for: a file, but also a recording or a segmented stream
    /// (HLS, DASH) on the network, and what FFmpeg makes itself (`device:lavfi:…`).
    pub fn runs_ahead(&self) -> bool {
        match &self.address {
            Address::File(_) => true,
            Address::Network(_) => self.input.runs_ahead(),
            Address::Device { .. } => self.address.is_generator(),
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.interrupt.is_stopped()
    }

    /// As errors name it.
    pub fn address(&self) -> String {
        self.label.clone()
    }

    pub fn broken(&self, reason: String) -> LiveError {
        LiveError::Broken {
            address: self.address(),
            reason,
        }
    }

    pub fn undecodable(&self, error: AvError) -> LiveError {
        undecodable(&self.label, error)
    }

    /// An error if a call was ended, or is to end, from outside.
    fn check(&self) -> Result<(), LiveError> {
        interruption(&self.label, &self.interrupt).map_or(Ok(()), Err)
    }
}

/// Whether a call was ended, or is to end, from outside.
fn interruption(label: &str, interrupt: &Interrupt) -> Option<LiveError> {
    if interrupt.is_stopped() {
        Some(LiveError::Stopped)
    } else if interrupt.is_expired() {
        Some(LiveError::Silent {
            address: label.to_owned(),
            patience: interrupt.patience(),
        })
    } else {
        None
    }
}

fn undecodable(label: &str, error: AvError) -> LiveError {
    LiveError::Undecodable {
        address: label.to_owned(),
        reason: error.to_string(),
    }
}

fn open_input(
    address: &Address,
    medium: Medium,
    label: &str,
    interrupt: &Arc<Interrupt>,
) -> Result<Input, LiveError> {
    interrupt.begin();
    let unopened = |error: AvError| LiveError::Unopened {
        address: label.to_owned(),
        reason: error.to_string(),
    };
    let opened = match address {
        Address::File(path) => clip::regular_file(path)
            .map_err(LiveError::from)
            .and_then(|_| open_file(path, medium, label, interrupt)),
        Address::Network(url) => {
            Input::open_network(url, &protocols(), interrupt).map_err(unopened)
        }
        Address::Device { format, name } => {
            match Input::open_device(medium, format, name, interrupt) {
                Some(opened) => opened.map_err(unopened),
                None => Err(LiveError::DeviceFormat {
                    address: label.to_owned(),
                }),
            }
        }
    };
    opened.map_err(|error| interruption(label, interrupt).unwrap_or(error))
}

fn open_file(
    path: &Path,
    medium: Medium,
    label: &str,
    interrupt: &Arc<Interrupt>,
) -> Result<Input, LiveError> {
    let interrupt = Some(interrupt.clone());
    match medium {
        Medium::Pictures => {
            Input::open(path, interrupt).map_err(|error| clip::unopened(path, error).into())
        }
        Medium::Sound => Input::open_sound(path, interrupt).map_err(|error| match error.io() {
            Some(_) => clip::unopened(path, error).into(),
            None => LiveError::NotSound {
                address: label.to_owned(),
                reason: error.to_string(),
            },
        }),
    }
}
