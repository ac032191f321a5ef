//! A process that can be stopped dead, or stand still for a while: its tasks end, or are not polled.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::task::AbortHandle;

/// The tasks of one process.
#[derive(Default)]
pub(crate) struct Process {
    tasks: RefCell<Vec<AbortHandle>>,
    stands_still: Cell<bool>,
    asleep: RefCell<Vec<Waker>>,
}

impl Process {
    pub(crate) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let task = Part { process: Rc::clone(self), task: Box::pin(task) };
        self.tasks.borrow_mut().push(tokio::task::spawn_local(task).abort_handle());
    }

    pub(crate) fn kill(&self) {
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }

    pub(crate) fn stands_still(&self) -> bool {
        self.stands_still.get()
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self) {
        self.stands_still.set(true);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.stands_still.set(false);
        self.asleep.borrow_mut().drain(..).for_each(Waker::wake);
    }
}

struct Part {
    process: Rc<Process>,
    task: Pin<Box<dyn Future<Output = ()>>>,
}

impl Future for Part {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.process.stands_still.get() {
            self.process.asleep.borrow_mut().push(context.waker().clone());
            return Poll::Pending;
        }
        self.task.as_mut().poll(context)
    }
}
