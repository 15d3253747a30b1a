//! A handle of libjpeg-turbo, for encoding or decoding.

use std::ffi::CStr;

use turbojpeg::raw;

/// A compressor or a decompressor.
pub(crate) struct Handle(raw::tjhandle);

// SAFETY: neither is tied to the thread that made it, and `Handle` is its only owner.
unsafe impl Send for Handle {}

impl Handle {
    pub fn compressor() -> Result<Handle, String> {
        Handle::new(raw::TJINIT_TJINIT_COMPRESS)
    }

    pub fn decompressor() -> Result<Handle, String> {
        Handle::new(raw::TJINIT_TJINIT_DECOMPRESS)
    }

    fn new(kind: raw::TJINIT) -> Result<Handle, String> {
        // SAFETY: allocates one or returns null.
        let handle = Handle(unsafe { raw::tj3Init(kind as i32) });
        if handle.0.is_null() {
            Err(handle.error())
        } else {
            Ok(handle)
        }
    }

    pub fn set(&self, parameter: raw::TJPARAM, value: i32) -> Result<(), String> {
        // SAFETY: the handle is valid; the call checks parameter and value.
        self.check(unsafe { raw::tj3Set(self.0, parameter as i32, value) })
    }

    /// -1 if it isn't known.
    pub fn get(&self, parameter: raw::TJPARAM) -> i32 {
        // SAFETY: the handle is valid; the call checks the parameter.
        unsafe { raw::tj3Get(self.0, parameter as i32) }
    }

    /// What a call returned, 0 for success, as a result.
    pub fn check(&self, result: i32) -> Result<(), String> {
        if result == 0 {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    /// As [`check`](Self::check), but a picture with damage is one.
    pub fn check_leniently(&self, result: i32) -> Result<(), String> {
        // SAFETY: the handle is valid.
        let code = unsafe { raw::tj3GetErrorCode(self.0) };
        if code == raw::TJERR_TJERR_WARNING as i32 {
            Ok(())
        } else {
            self.check(result)
        }
    }

    pub fn raw(&self) -> raw::tjhandle {
        self.0
    }

    fn error(&self) -> String {
        // SAFETY: returns a string that ends in a zero, also for a null handle, valid until the next call.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0)) };
        text.to_string_lossy().into_owned()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by tj3Init, freed once; null is allowed.
        unsafe { raw::tj3Destroy(self.0) }
    }
}
