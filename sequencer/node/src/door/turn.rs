//! Who is next. Requests of one connection are worked on side by side (a signature takes longer to check than an order to
//! match), and reach the sequencer in the order in which they were sent.

use std::cell::RefCell;

use tokio::sync::oneshot;

tokio::task_local! {
    static MINE: RefCell<Option<Turn>>;
}

/// Gives out turns, one after the other.
#[derive(Default)]
pub(crate) struct Turns {
    last: Option<oneshot::Receiver<Before>>,
}

/// Who must have gone before the holder of the next turn: nobody, or whom the one before it did not wait for.
struct Before(Option<oneshot::Receiver<Before>>);

/// A place in the order of a connection. Dropped, it lets the next one go, as soon as all before it have gone.
pub(crate) struct Turn {
    before: Option<oneshot::Receiver<Before>>,
    next: Option<oneshot::Sender<Before>>,
}

impl Turns {
    /// A turn behind all that were given out so far.
    pub(crate) fn next(&mut self) -> Turn {
        let (next, after) = oneshot::channel();
        Turn { before: self.last.replace(after), next: Some(next) }
    }
}

impl Turn {
    /// Waits until all before it have gone.
    async fn come(&mut self) {
        while let Some(before) = self.before.take() {
            // Whoever is gone without a word has nobody before it.
            self.before = before.await.ok().and_then(|Before(others)| others);
        }
    }

    /// Gives this turn to several, one after the other; whoever is next goes behind them all.
    pub(crate) fn shared_by(mut self, count: usize) -> Vec<Turn> {
        let mut turns = Turns { last: self.before.take() };
        let shared = (0..count).map(|_| turns.next()).collect();
        self.before = turns.last;
        shared
    }

    /// Has `work` take this turn when it first asks the sequencer for something, or when it ends.
    pub(crate) async fn of<W: Future>(self, work: W) -> W::Output {
        MINE.scope(RefCell::new(Some(self)), work).await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            // If there is no next one, nobody waits.
            let _ = next.send(Before(self.before.take()));
        }
    }
}

/// The turn of the request that this task works on, which may not have come yet; the request has none from here on.
pub(crate) fn take() -> Option<Turn> {
    MINE.try_with(RefCell::take).ok().flatten()
}

/// Waits for the turn of the request that this task works on. It lasts until what is returned is dropped; whatever the
/// request asks later has no place in the order.
pub(crate) async fn mine() -> Option<Turn> {
    let mut turn = take()?;
    turn.come().await;
    Some(turn)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_is_done_in_any_order_has_its_turn_in_the_order_given() {
        let mut turns = Turns::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        // The earlier, the slower; every third one never takes its turn, and every seventh is dropped before it starts.
        for number in 0_u64..50 {
            let (turn, order) = (turns.next(), Arc::clone(&order));
            if number.is_multiple_of(7) {
                continue;
            }
            let work = async move {
                tokio::time::sleep(Duration::from_micros(100 * (50 - number))).await;
                if !number.is_multiple_of(3) {
                    let mine = mine().await;
                    order.lock().unwrap().push(number);
                    drop(mine);
                    assert!(super::mine().await.is_none(), "a turn is taken once");
                }
            };
            tasks.push(tokio::spawn(turn.of(work)));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let expected: Vec<u64> = (0..50).filter(|number| number % 7 != 0 && number % 3 != 0).collect();
        assert_eq!(*order.lock().unwrap(), expected);
        assert!(mine().await.is_none(), "there is no order where none was given");
    }

    #[tokio::test]
    async fn those_who_share_a_turn_go_where_it_stands() {
        let mut turns = Turns::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (first, shared, last) = (turns.next(), turns.next().shared_by(2), turns.next());
        // Whoever may go first is the slowest.
        let waits = (1..).map(|number| Duration::from_millis(10 * (5 - number)));
        let mut tasks = Vec::new();
        for ((number, turn), wait) in (0..).zip([first].into_iter().chain(shared).chain([last])).zip(waits) {
            let order = Arc::clone(&order);
            tasks.push(tokio::spawn(turn.of(async move {
                tokio::time::sleep(wait).await;
                let _mine = mine().await;
                order.lock().unwrap().push(number);
            })));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    }
}
