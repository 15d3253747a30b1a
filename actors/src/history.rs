//! The last public words that the house could read, for who comes later: kept in memory, and written to the
//! house's database at most a second late.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_storage::{Durability, Folder, HistoryRow, Index, StorageError, now_ms};
use tokio::sync::Semaphore;

use crate::ledger::Ledger;
use crate::locks::locked;
use crate::messages::{Observation, Observe, Person, Receipt};
use crate::watch::Post;

/// Words are written so long after they were said, with all that follow meanwhile.
const LATE: Duration = Duration::from_secs(1);
/// All texts together, in bytes; beyond it the oldest are forgotten, however few they are.
const MOST_BYTES: usize = 64 << 20;
/// What a message takes beside its text, about, in bytes.
const OVERHEAD: usize = 256;
/// Messages that one question gets at most …
const MOST_RECALLED: usize = 1000;
/// … and bytes of their texts, beyond the newest one: many may ask, and read slowly.
const MOST_RECALLED_BYTES: usize = 256 << 10;

/// The newest messages, oldest first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Remembered>")]
pub struct Recall {
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
    /// Only those that have this in them, in whatever case.
    pub query: Option<String>,
}

/// A message of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Ascending, also over restarts.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Number of the person who said it.
    pub from: u64,
    /// The name that this person had.
    pub name: String,
    pub service: String,
    pub text: String,
}

/// Something was said to all.
#[derive(Message)]
#[rtype(result = "()")]
struct Note {
    first: u64,
    at_ms: i64,
    from: Arc<Person>,
    texts: Arc<[Bytes]>,
    _receipt: Option<Receipt>,
}

/// The lobby's way to the history.
#[derive(Clone)]
pub struct Annals {
    next: Arc<AtomicU64>,
    history: Post<History>,
}

impl Annals {
    /// Notes what was said, if anything; gives the number of the first text.
    pub fn note(
        &self,
        from: &Arc<Person>,
        texts: &Arc<[Bytes]>,
        at_ms: i64,
        receipt: Option<&Receipt>,
    ) -> Option<u64> {
        if texts.is_empty() {
            return None;
        }
        let first = self.next.fetch_add(texts.len() as u64, Ordering::Relaxed);
        self.history.do_send(Note {
            first,
            at_ms,
            from: from.clone(),
            texts: texts.clone(),
            _receipt: receipt.cloned(),
        });
        Some(first)
    }
}

struct Entry {
    row: HistoryRow,
    /// The text in small letters, if that is another one.
    small: Option<Box<str>>,
}

impl Entry {
    fn new(row: HistoryRow) -> Entry {
        let small = row.text.to_lowercase();
        let small = (small != row.text).then(|| small.into());
        Entry { row, small }
    }

    fn bytes(&self) -> usize {
        self.row.text.len() + self.small.as_ref().map_or(0, |small| small.len())
    }

    fn has(&self, small: &str) -> bool {
        self.small
            .as_deref()
            .unwrap_or(&self.row.text)
            .contains(small)
    }
}

/// What is remembered. It outlives the actor.
pub struct Memory {
    most: usize,
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// How many of the newest are not in the database.
    unwritten: usize,
}

impl Memory {
    /// What the last house left.
    pub fn new(most: usize, rows: Vec<HistoryRow>) -> Memory {
        let mut memory = Memory {
            most,
            entries: VecDeque::new(),
            bytes: 0,
            unwritten: 0,
        };
        rows.into_iter().for_each(|row| memory.push(row));
        memory.unwritten = 0;
        memory
    }

    fn push(&mut self, row: HistoryRow) {
        let entry = Entry::new(row);
        self.bytes += entry.bytes();
        self.entries.push_back(Arc::new(entry));
        self.unwritten += 1;
        while self.entries.len() > self.most || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
        self.unwritten = self.unwritten.min(self.entries.len());
    }

    /// What the database lacks, and the oldest number that it keeps.
    fn unwritten(&self) -> (Vec<HistoryRow>, u64) {
        let written = self.entries.len() - self.unwritten;
        let rows = self.entries.iter().skip(written);
        let oldest = self.entries.front().map_or(0, |entry| entry.row.number);
        (rows.map(|entry| entry.row.clone()).collect(), oldest)
    }

    /// What comes before a number, newest first.
    fn before(&self, number: Option<u64>) -> impl Iterator<Item = &Arc<Entry>> {
        let number = number.unwrap_or(u64::MAX);
        let end = self
            .entries
            .partition_point(|entry| entry.row.number < number);
        self.entries.range(..end).rev()
    }
}

/// The newest of `entries` that are asked for, oldest first.
fn recall_of<'a>(
    entries: impl Iterator<Item = &'a Arc<Entry>>,
    recall: &Recall,
) -> Vec<Remembered> {
    let query = recall.query.as_deref().unwrap_or_default().to_lowercase();
    let mut bytes = 0;
    let mut found: Vec<_> = entries
        .filter(|entry| entry.has(&query))
        .take(recall.limit.min(MOST_RECALLED))
        .take_while(|entry| {
            let is_first = bytes == 0;
            bytes += entry.row.text.len() + OVERHEAD;
            is_first || bytes <= MOST_RECALLED_BYTES
        })
        .map(|entry| remembered(&entry.row))
        .collect();
    found.reverse();
    found
}

fn remembered(row: &HistoryRow) -> Remembered {
    let HistoryRow {
        number,
        at_ms,
        from,
        name,
        service,
        text,
    } = row.clone();
    Remembered {
        number,
        at_ms,
        from,
        name,
        service,
        text,
    }
}

/// What a house has of its history: kept by the actor's factory, and written at the end.
#[derive(Clone)]
pub struct Chronicle {
    memory: Arc<Mutex<Memory>>,
    next: Arc<AtomicU64>,
    ledger: Ledger,
}

impl Chronicle {
    pub fn new(memory: Memory, ledger: Ledger) -> Chronicle {
        let last = memory.entries.back().map_or(0, |entry| entry.row.number);
        // A house that was killed may have given numbers that it did not write down; by now the clock is past
        // them.
        let now = u64::try_from(now_ms()).unwrap_or(0);
        Chronicle {
            next: Arc::new(AtomicU64::new((last + 1).max(now))),
            memory: Arc::new(Mutex::new(memory)),
            ledger,
        }
    }

    /// The lobby's way to `history`; `None` where nothing is remembered.
    pub fn annals(&self, history: Post<History>) -> Option<Annals> {
        (locked(&self.memory).most > 0).then(|| Annals {
            next: self.next.clone(),
            history,
        })
    }

    /// Writes what is not written yet, when the ledger's thread is not waited for any more.
    pub fn close(&self, folder: &Folder) -> Result<(), StorageError> {
        let (rows, oldest) = locked(&self.memory).unwritten();
        if rows.is_empty() {
            return Ok(());
        }
        Index::open(folder)?.write(Durability::Process, |index| {
            index.add_history(&rows, oldest)
        })
    }
}

/// The one history.
pub struct History {
    chronicle: Chronicle,
    is_waiting: bool,
    /// A place for one search.
    searching: Arc<Semaphore>,
}

impl History {
    pub fn new(chronicle: Chronicle) -> History {
        History {
            chronicle,
            is_waiting: false,
            searching: Arc::new(Semaphore::new(1)),
        }
    }

    /// Writes what there is a moment later.
    fn write_soon(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.is_waiting, true) {
            ctx.run_later(LATE, |this, ctx| this.write(ctx));
        }
    }

    fn write(&mut self, ctx: &mut Context<Self>) {
        let (rows, oldest) = locked(&self.chronicle.memory).unwritten();
        let last = rows.last().map(|row| row.number);
        let write = move |index: &Index| index.add_history(&rows, oldest);
        let written = self.chronicle.ledger.write(Durability::Process, write);
        written
            .into_actor(self)
            .map(move |written, this, ctx| {
                this.is_waiting = false;
                let mut memory = locked(&this.chronicle.memory);
                match written {
                    Ok(()) => {
                        let newer = memory.entries.iter().rev();
                        let is_newer = |entry: &&Arc<Entry>| Some(entry.row.number) > last;
                        memory.unwritten = newer.take_while(is_newer).count();
                    }
                    Err(error) => tracing::error!(%error, "the history is not written down"),
                }
                let is_done = memory.unwritten == 0;
                drop(memory);
                if !is_done {
                    this.write_soon(ctx);
                }
            })
            .spawn(ctx);
    }
}

impl Actor for History {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // What one that panicked had not written.
        self.write_soon(ctx);
    }
}

impl Handler<Note> for History {
    type Result = ();

    fn handle(&mut self, note: Note, ctx: &mut Context<Self>) {
        let mut memory = locked(&self.chronicle.memory);
        // A flood is remembered as far as it stays.
        let passed = note.texts.len().saturating_sub(memory.most);
        for (number, text) in (note.first..).zip(note.texts.iter()).skip(passed) {
            memory.push(HistoryRow {
                number,
                at_ms: note.at_ms,
                from: note.from.id,
                name: note.from.name.to_string(),
                service: note.from.service.name().to_owned(),
                text: String::from_utf8_lossy(text).into_owned(),
            });
        }
        drop(memory);
        self.write_soon(ctx);
    }
}

impl Handler<Recall> for History {
    type Result = ResponseFuture<Vec<Remembered>>;

    fn handle(&mut self, recall: Recall, _: &mut Context<Self>) -> Self::Result {
        let memory = locked(&self.chronicle.memory);
        if recall.query.is_none() {
            let found = recall_of(memory.before(recall.before), &recall);
            return Box::pin(async { found });
        }
        let entries: Vec<Arc<Entry>> = memory.before(recall.before).cloned().collect();
        let searching = self.searching.clone();
        Box::pin(async move {
            // There may be megabytes to look through: beside the event loop, one search at a time.
            let _turn = searching.acquire().await;
            let search = move || recall_of(entries.iter(), &recall);
            let found = actix_rt::task::spawn_blocking(search).await;
            found.unwrap_or_default()
        })
    }
}

impl Handler<Observe> for History {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        let memory = locked(&self.chronicle.memory);
        Observation::History {
            messages: memory.entries.len(),
            bytes: memory.bytes,
            unwritten: memory.unwritten,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, text: &str) -> HistoryRow {
        HistoryRow {
            number,
            at_ms: 0,
            from: 1,
            name: "anna".to_owned(),
            service: "web".to_owned(),
            text: text.to_owned(),
        }
    }

    fn numbers(memory: &Memory, before: Option<u64>, limit: usize, query: &str) -> Vec<u64> {
        let query = (!query.is_empty()).then(|| query.to_owned());
        let recall = Recall {
            before,
            limit,
            query,
        };
        recall_of(memory.before(recall.before), &recall)
            .iter()
            .map(|one| one.number)
            .collect()
    }

    #[test]
    fn the_newest_are_recalled_oldest_first() {
        let texts = ["Grüße", "hello", "GRÜSSE", "bye", "grüße all"];
        let rows = (10..).zip(texts).map(|(number, text)| row(number, text));
        let memory = Memory::new(4, rows.collect());
        assert_eq!(
            numbers(&memory, None, 9, ""),
            [11, 12, 13, 14],
            "four are kept"
        );
        assert_eq!(numbers(&memory, None, 2, ""), [13, 14]);
        assert_eq!(numbers(&memory, Some(13), 2, ""), [11, 12]);
        assert_eq!(numbers(&memory, None, 9, "GRÜ"), [12, 14]);
        assert_eq!(numbers(&memory, None, 0, ""), [0; 0]);
    }

    #[test]
    fn only_what_is_new_and_stays_is_written() {
        let mut memory = Memory::new(3, vec![row(1, "old")]);
        assert!(memory.unwritten().0.is_empty());
        memory.push(row(2, "new"));
        let (rows, oldest) = memory.unwritten();
        assert_eq!((rows.len(), oldest), (1, 1));
        (3..9).for_each(|number| memory.push(row(number, "flood")));
        let (rows, oldest) = memory.unwritten();
        assert_eq!((rows.len(), rows[0].number, oldest), (3, 6, 6));
    }

    #[test]
    fn long_texts_are_bounded_together() {
        let long = "x".repeat(MOST_BYTES / 3);
        let rows = (1..=5).map(|number| row(number, &long));
        let memory = Memory::new(100, rows.collect());
        let kept: Vec<_> = memory.entries.iter().map(|one| one.row.number).collect();
        assert_eq!(kept, [3, 4, 5]);
        assert!(memory.bytes <= MOST_BYTES);
    }

    #[test]
    fn one_answer_is_bounded_and_the_next_goes_on_before_it() {
        let half = "x".repeat(MOST_RECALLED_BYTES / 2 - OVERHEAD);
        let huge = "x".repeat(2 * MOST_RECALLED_BYTES);
        let texts = [&half, &huge, &half, &half, &half];
        let rows = (1..).zip(texts).map(|(number, text)| row(number, text));
        let memory = Memory::new(100, rows.collect());
        assert_eq!(numbers(&memory, None, 9, ""), [4, 5]);
        assert_eq!(numbers(&memory, Some(4), 9, ""), [3]);
        assert_eq!(
            numbers(&memory, Some(3), 9, ""),
            [2],
            "the newest always comes"
        );
        assert_eq!(numbers(&memory, Some(2), 9, ""), [1]);
    }
}
