//! Tasks of one core: boxed futures, a ready queue, and wakes by task id.
//!
//! **Not** a general executor: futures of this crate remember the [`TaskId`] that polled them and wake that. The
//! [`Waker`] in the context refuses to be cloned: a foreign future that would wait on it fails at once and loudly,
//! instead of never being woken.
//!
//! **Invariants**: a task is in the ready queue, or among those that have yielded, at most once; a task that is being polled is out of its slot, and
//! its slot stays reserved until the poll is over.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::id::{SlabKey, TaskId};
use crate::random::Random;
use crate::slab::Slab;

/// Tasks of one core at most: a connection is a task, and a core has at most a few hundred thousand of those.
pub(crate) const TASKS_MAX: usize = 1 << 20;

/// A task's future.
pub(crate) type Boxed = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// `None` while the task is being polled.
    future: Option<Boxed>,
    queued: bool,
}

pub(crate) struct Executor {
    tasks: Slab<Task>,
    ready: VecDeque<TaskId>,
    /// Tasks that have given up the rest of this pass, in order.
    yielded: Vec<TaskId>,
    /// Of the simulator only: picks the next task at random instead of in order of waking.
    shuffle: Option<Random>,
}

impl Executor {
    pub(crate) fn new(shuffle: Option<Random>) -> Self {
        let (ready, yielded) = (VecDeque::with_capacity(1024), Vec::with_capacity(64));
        Executor { tasks: Slab::new(TASKS_MAX), ready, yielded, shuffle }
    }

    /// Adds a task and makes it ready, or gives the future back when [`TASKS_MAX`] is reached.
    pub(crate) fn insert(&mut self, future: Boxed) -> Result<TaskId, Boxed> {
        let task = Task { future: Some(future), queued: true };
        match self.tasks.insert(task) {
            Ok(key) => {
                self.ready.push_back(TaskId(key));
                Ok(TaskId(key))
            }
            Err(task) => Err(task.future.expect("the task was made with a future just above")),
        }
    }

    /// Makes a task ready; does nothing for one that has ended or is queued already.
    #[inline(always)]
    pub(crate) fn wake(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id.0)
            && !task.queued
        {
            task.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Makes a task ready in the next pass, behind all that are ready by then.
    pub(crate) fn wake_in_next_pass(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(id.0)
            && !task.queued
        {
            task.queued = true;
            self.yielded.push(id);
        }
    }

    /// Begins a pass: who has yielded in the last one is ready, behind all who are.
    #[inline(always)]
    pub(crate) fn begin_pass(&mut self) {
        self.ready.extend(self.yielded.drain(..));
    }

    /// Takes the next ready task out to be polled.
    #[inline(always)]
    pub(crate) fn take_ready(&mut self) -> Option<(TaskId, Boxed)> {
        loop {
            if self.shuffle.is_some() {
                self.shuffle_ready();
            }
            let id = self.ready.pop_front()?;
            // A task that was woken and then removed leaves its id behind; skip it.
            if let Some(task) = self.tasks.get_mut(id.0) {
                task.queued = false;
                let future = task.future.take().expect("a task is polled by one caller at a time");
                return Some((id, future));
            }
        }
    }

    #[cold]
    fn shuffle_ready(&mut self) {
        if let Some(random) = &mut self.shuffle
            && self.ready.len() > 1
        {
            let pick = random.below(self.ready.len() as u64) as usize;
            self.ready.swap(0, pick);
        }
    }

    /// Puts a task back after a poll that returned `Pending`.
    pub(crate) fn put_back(&mut self, id: TaskId, future: Boxed) {
        let task = self.tasks.get_mut(id.0).expect("a task's slot is reserved while it is polled");
        debug_assert!(task.future.is_none());
        task.future = Some(future);
    }

    /// Frees the slot of a task that has ended.
    pub(crate) fn remove(&mut self, id: TaskId) {
        self.tasks.remove(id.0);
    }

    /// Takes every task out, so that the caller can drop them without holding the executor.
    pub(crate) fn take_all(&mut self) -> Vec<Boxed> {
        self.ready.clear();
        self.yielded.clear();
        let keys: Vec<SlabKey> = self.tasks.keys();
        keys.into_iter().filter_map(|key| self.tasks.remove(key)).filter_map(|task| task.future).collect()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.yielded.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }
}

/// Polls a task's future once.
pub(crate) fn poll_once(future: &mut Boxed) -> Poll<()> {
    let waker = refusing_waker();
    future.as_mut().poll(&mut Context::from_waker(&waker))
}

const REFUSAL: &str = "this future waits on a Waker, but tasks of a Corelane reactor are woken by the reactor only; \
                       use the reactor's own timers, sockets and channels";

static REFUSING: RawWakerVTable = RawWakerVTable::new(|_| panic!("{REFUSAL}"), |_| {}, |_| {}, |_| {});

fn refusing_waker() -> Waker {
    // SAFETY: every function of the table ignores the data pointer, so that null is as good as any; none of them
    // touches memory, so that they are safe to call from any thread, which is all a RawWakerVTable promises.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &REFUSING)) }
}
