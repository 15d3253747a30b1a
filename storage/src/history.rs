//! The last public words of the house.

use rusqlite::params;

use crate::error::StorageError;
use crate::index::Index;
use crate::rows::number;

/// What somebody said to all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// What it is known by; ascending.
    pub number: u64,
    /// Milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Number of the person who said it.
    pub from: u64,
    /// The name that this person had.
    pub name: String,
    pub service: String,
    pub text: String,
}

impl Index {
    /// The newest rows, oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn history(&self, most: usize) -> Result<Vec<HistoryRow>, StorageError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = self.rows(
            "SELECT number, at_ms, sender, name, service, text FROM history
             ORDER BY number DESC LIMIT ?",
            [most],
            |row| {
                Ok(HistoryRow {
                    number: number(row, 0)?,
                    at_ms: row.get(1)?,
                    from: number(row, 2)?,
                    name: row.get(3)?,
                    service: row.get(4)?,
                    text: row.get(5)?,
                })
            },
        )?;
        rows.reverse();
        Ok(rows)
    }

    /// Adds rows and forgets all that are older than `oldest`. A row that is there already is replaced.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_history(&self, rows: &[HistoryRow], oldest: u64) -> Result<(), StorageError> {
        for row in rows {
            self.execute(
                "INSERT OR REPLACE INTO history (number, at_ms, sender, name, service, text)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    row.number.cast_signed(),
                    row.at_ms,
                    row.from.cast_signed(),
                    row.name,
                    row.service,
                    row.text,
                ],
            )?;
        }
        self.execute(
            "DELETE FROM history WHERE number < ?",
            [oldest.cast_signed()],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;
    use crate::index::Durability;

    fn row(number: u64) -> HistoryRow {
        HistoryRow {
            number,
            at_ms: 1_700_000_000_000,
            from: u64::MAX,
            name: "anna".to_owned(),
            service: "web".to_owned(),
            text: format!("né {number}"),
        }
    }

    #[test]
    fn the_newest_come_back_in_order_and_older_ones_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Index::open(&Folder::open(dir.path()).unwrap()).unwrap();
        let index = open();
        assert_eq!(index.history(10).unwrap(), []);
        let rows: Vec<_> = (1..=5).map(row).collect();
        let add = |rows: &[HistoryRow], oldest| {
            index
                .write(Durability::Process, |index| index.add_history(rows, oldest))
                .unwrap();
        };
        add(&rows, 0);
        add(&[row(5), row(6)], 3);
        assert_eq!(
            index.history(10).unwrap(),
            (3..=6).map(row).collect::<Vec<_>>()
        );
        assert_eq!(index.history(2).unwrap(), [row(5), row(6)]);
        drop(index);
        assert_eq!(open().history(1).unwrap(), [row(6)]);
    }
}
