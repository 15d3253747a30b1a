//! Pictures as numpy's arrays, pickled as numpy 2 does.

/// From this length on the pickler leaves bytes out of its frames.
const UNFRAMED: usize = 64 * 1024;

/// `dtype('u1')` of protocols 4 and 5 behind its two names.
const DTYPE: &[u8] = b"\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94\
    (K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b";

/// Height and width of a picture, and its bytes, row by row: 3 for a pixel (blue, green, red) or 1.
#[derive(Debug, Clone)]
pub struct Array {
    pub height: usize,
    pub width: usize,
    pub bytes: Vec<u8>,
}

impl Array {
    /// One colour, given as red, green, blue.
    pub fn plain(height: usize, width: usize, [red, green, blue]: [u8; 3]) -> Array {
        Array {
            height,
            width,
            bytes: [blue, green, red].repeat(height * width),
        }
    }

    /// One shade of grey.
    pub fn grey(height: usize, width: usize, shade: u8) -> Array {
        Array {
            height,
            width,
            bytes: vec![shade; height * width],
        }
    }

    /// `pickle.dumps(array, protocol)`, protocol 2 to 5.
    pub fn pickle(&self, protocol: u8) -> Vec<u8> {
        match protocol {
            2 => self.protocol_2(),
            3 => self.protocol_3(),
            4 => self.protocol_4(),
            5 => self.protocol_5(),
            _ => panic!("protocol {protocol}"),
        }
    }

    /// The shape, as a tuple without its place in the memo.
    fn shape(&self) -> Vec<u8> {
        let mut shape = [integer(self.height), integer(self.width)].concat();
        if self.bytes.len() == 3 * self.height * self.width {
            shape.extend(b"K\x03\x87");
        } else {
            assert_eq!(self.bytes.len(), self.height * self.width);
            shape.extend(b"\x86");
        }
        shape
    }

    /// The bytes, up to protocol 4.
    fn pixels(&self) -> Vec<u8> {
        let head = match u8::try_from(self.bytes.len()) {
            Ok(length) => vec![b'C', length],
            Err(_) => [b"B", &length_4(&self.bytes)[..]].concat(),
        };
        [&head, &self.bytes[..]].concat()
    }

    fn protocol_2(&self) -> Vec<u8> {
        // Bytes are text in Latin-1, which is encoded by a call.
        let text: String = self.bytes.iter().copied().map(char::from).collect();
        [
            b"\x80\x02cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01\
              K\x00\x85q\x02c_codecs\nencode\nq\x03X\x01\x00\x00\x00bq\x04\
              X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07\x87q\x08Rq\x09(K\x01",
            &self.shape()[..],
            b"q\x0acnumpy\ndtype\nq\x0bX\x02\x00\x00\x00u1q\x0c\x89\x88\x87q\x0dRq\x0e\
              (K\x03X\x01\x00\x00\x00|q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10b\
              \x89h\x03X",
            &length_4(text.as_bytes()),
            text.as_bytes(),
            b"q\x11h\x05\x86q\x12Rq\x13tq\x14b.",
        ]
        .concat()
    }

    fn protocol_3(&self) -> Vec<u8> {
        [
            b"\x80\x03cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01\
              K\x00\x85q\x02C\x01bq\x03\x87q\x04Rq\x05(K\x01",
            &self.shape()[..],
            b"q\x06cnumpy\ndtype\nq\x07X\x02\x00\x00\x00u1q\x08\x89\x88\x87q\x09Rq\x0a\
              (K\x03X\x01\x00\x00\x00|q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb\x89",
            &self.pixels(),
            b"q\x0dtq\x0eb.",
        ]
        .concat()
    }

    fn protocol_4(&self) -> Vec<u8> {
        let before = [
            b"\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\
              \x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94\
              (K\x01",
            &self.shape()[..],
            b"\x94h\x03",
            DTYPE,
            b"\x89",
        ];
        framed(4, &before.concat(), &self.pixels(), b"\x94t\x94b.")
    }

    fn protocol_5(&self) -> Vec<u8> {
        let before = b"\x8c\x13numpy._core.numeric\x94\x8c\x0b_frombuffer\x94\x93\x94(";
        let pixels = [
            b"\x96",
            &(self.bytes.len() as u64).to_le_bytes()[..],
            &self.bytes,
        ];
        let after = [
            b"\x94\x8c\x05numpy\x94",
            DTYPE,
            &self.shape(),
            b"\x94\x8c\x01C\x94t\x94R\x94.",
        ];
        framed(5, before, &pixels.concat(), &after.concat())
    }
}

/// The smallest form of a number.
fn integer(number: usize) -> Vec<u8> {
    match u8::try_from(number) {
        Ok(number) => vec![b'K', number],
        Err(_) => [b"M", &u16::try_from(number).unwrap().to_le_bytes()[..]].concat(),
    }
}

fn length_4(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap().to_le_bytes()
}

/// A pickle of protocol 4 or 5, whose pixels are part of a frame only if they are few.
fn framed(protocol: u8, before: &[u8], pixels: &[u8], after: &[u8]) -> Vec<u8> {
    let frame = |bytes: &[u8]| [b"\x95", &(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
    let rest = if pixels.len() < UNFRAMED {
        frame(&[before, pixels, after].concat())
    } else {
        [&frame(before), pixels, &frame(after)].concat()
    };
    [&[0x80, protocol], &rest[..]].concat()
}
