//! A value of the configuration, given by the program.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ::config::{Value, ValueKind};

/// What a key of the configuration is set to: a number, a text, yes or no, a path, an address, a list of
/// these, or a table.
///
/// ```
/// use playhouse::{Playhouse, Setting};
///
/// let door = Setting::from([("name", "front door"), ("url", "rtsp://192.168.1.20/stream")]);
/// Playhouse::builder()
///     .set("videochat.port", 10001)
///     .set("server.allow", vec!["127.0.0.0/8", "10.1.0.0/16"])
///     .set("live.source", vec![door]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Setting(ValueKind);

impl Setting {
    pub(crate) fn value(self) -> Value {
        Value::new(None, self.0)
    }
}

macro_rules! from {
    ($($kind:ty),+) => {
        $(impl From<$kind> for Setting {
            fn from(value: $kind) -> Setting {
                Setting(value.into())
            }
        })+
    };
}

from!(bool, i32, i64, u16, u32, u64, &str, String);

impl From<usize> for Setting {
    fn from(value: usize) -> Setting {
        // More than fits is out of every key's range.
        Setting(u64::try_from(value).unwrap_or(u64::MAX).into())
    }
}

impl From<&Path> for Setting {
    fn from(path: &Path) -> Setting {
        Setting(path.display().to_string().into())
    }
}

impl From<PathBuf> for Setting {
    fn from(path: PathBuf) -> Setting {
        path.as_path().into()
    }
}

impl From<IpAddr> for Setting {
    fn from(address: IpAddr) -> Setting {
        Setting(address.to_string().into())
    }
}

impl<T: Into<Setting>> From<Vec<T>> for Setting {
    fn from(list: Vec<T>) -> Setting {
        let values = list.into_iter().map(|item| item.into().value());
        Setting(ValueKind::Array(values.collect()))
    }
}

impl<T: Into<Setting>, const N: usize> From<[(&str, T); N]> for Setting {
    fn from(table: [(&str, T); N]) -> Setting {
        let entry = |(key, value): (&str, T)| (key.to_owned(), value.into().value());
        Setting(ValueKind::Table(table.into_iter().map(entry).collect()))
    }
}
