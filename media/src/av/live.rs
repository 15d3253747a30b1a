//! Opening what is no file: addresses on the network and capture devices.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::{Arc, Once};
use std::time::Duration;

use ffmpeg_next::ffi;

use super::{AvError, Input, Interrupt, Options};

/// Formats whose streams are a row of files.
const SEGMENTED: [&CStr; 2] = [c"hls", c"dash"];
/// How long a stream is watched for what it holds, at most; the frames of that time are not lost.
const ANALYSIS: Duration = Duration::from_secs(1);

/// What a source is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Pictures,
    Sound,
}

impl Input {
    /// Opens `url`, and whatever else it refers to with one of `protocols`, which are separated by commas.
    pub fn open_network(
        url: &str,
        protocols: &str,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Input, AvError> {
        let text = |text: &str| CString::new(text).map_err(|_| AvError::INVALID);
        // Well before patience ends, which holds for the analysis as a whole.
        let analysis = ANALYSIS.min(interrupt.patience() / 2);
        let mut options = Options::new();
        options.set(c"protocol_whitelist", &text(protocols)?)?;
        options.set(c"rtsp_transport", c"tcp")?;
        options.set(
            c"analyzeduration",
            &text(&analysis.as_micros().to_string())?,
        )?;
        // The frame rate needn't be found out. There is no `nobuffer`, which would throw away what is read
        // here: the key frame, perhaps, and the next one may be long in coming.
        options.set(c"fpsprobesize", c"0")?;
        interrupt.begin();
        let context = Input::context(Some(interrupt.clone()))?;
        let mut input = context.start(&text(url)?, ptr::null(), options)?;
        interrupt.begin();
        input.analyse()?;
        Ok(input)
    }

    /// Opens the capture device `name` by way of `format`; `None` if there is no such format for that medium.
    pub fn open_device(
        medium: Medium,
        format: &str,
        name: &str,
        interrupt: &Arc<Interrupt>,
    ) -> Option<Result<Input, AvError>> {
        let format = device_format(medium, format)?;
        let open = || {
            let name = CString::new(name).map_err(|_| AvError::INVALID)?;
            interrupt.begin();
            let context = Input::context(Some(interrupt.clone()))?;
            // Devices aren't interrupted while they wait: they must answer at once.
            // SAFETY: the context is ours, and not open yet.
            unsafe { (*context.raw()).flags |= ffi::AVFMT_FLAG_NONBLOCK }
            context.start(&name, format, Options::new())
        };
        Some(open())
    }

    /// Whether it may come faster than it is to be shown: a recording, of which it is known how long it
    /// lasts, or a stream that comes by some seconds at a time.
    pub fn runs_ahead(&self) -> bool {
        // SAFETY: the context is open; formats are static, and their names end in a zero.
        let (duration, format) = unsafe {
            (
                (*self.raw()).duration,
                CStr::from_ptr((*(*self.raw()).iformat).name),
            )
        };
        duration > 0 || SEGMENTED.contains(&format)
    }
}

/// The format `name` among those that capture so.
fn device_format(medium: Medium, name: &str) -> Option<*const ffi::AVInputFormat> {
    static REGISTERED: Once = Once::new();
    // SAFETY: takes no arguments; called once.
    REGISTERED.call_once(|| unsafe { ffi::avdevice_register_all() });
    let mut format = ptr::null();
    loop {
        // SAFETY: null for the first one, else what the call returned before.
        format = unsafe {
            match medium {
                Medium::Pictures => ffi::av_input_video_device_next(format),
                Medium::Sound => ffi::av_input_audio_device_next(format),
            }
        };
        if format.is_null() {
            return None;
        }
        // SAFETY: formats are static, and their names end in a zero.
        let names = unsafe { CStr::from_ptr((*format).name) };
        let mut names = names.to_bytes().split(|&byte| byte == b',');
        if names.any(|known| known == name.as_bytes()) {
            return Some(format);
        }
    }
}
