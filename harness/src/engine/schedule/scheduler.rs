//! Which task starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    priority,
    reason::{Lack, Reason, Resource, Waiting},
    task::{Amounts, Capacity, GROUPS, Task, TaskId, fits, lane},
};

/// Starts tasks by the rule of this module. Times are since any moment that stays the same.
#[derive(Debug)]
pub struct Scheduler {
    tasks: Vec<Task>,
    capacity: Capacity,
    /// How long each task is taken to run.
    assumed: Vec<Duration>,
    /// The place of each task in the order of priority; 0 comes first.
    rank: Vec<usize>,
    total: Amounts,
    free: Amounts,
    classes: Vec<Class>,
    /// The class of each task, and its place among the members.
    membership: Vec<(usize, usize)>,
    /// When each running task is expected to end, the next one first.
    running: BTreeSet<(Duration, usize)>,
    /// The same by task; `None` for what doesn't run.
    ends: Vec<Option<Duration>>,
    /// For each lane, the first task that waits for it.
    reservations: Vec<Option<Reservation>>,
}

/// Tasks that need the same. There are few of these, which makes it cheap to look at all of them each time.
#[derive(Debug)]
struct Class {
    demand: Amounts,
    /// All of them by rank, which is also from long to short.
    members: Vec<usize>,
    /// Places among the members of those that wait.
    queued: BTreeSet<usize>,
}

impl Class {
    fn first(&self) -> Option<usize> {
        self.queued.first().map(|&place| self.members[place])
    }
}

/// What is kept for the first task that doesn't fit.
#[derive(Clone, Debug)]
struct Reservation {
    task: usize,
    /// From when on.
    at: Duration,
    /// What others may still take without being in its way.
    beside: Amounts,
}

impl Scheduler {
    /// Nothing runs, and all tasks wait.
    #[must_use]
    pub fn new(capacity: Capacity, tasks: Vec<Task>) -> Self {
        let total = capacity.amounts();
        let demands: Vec<Amounts> = tasks.iter().map(|task| capacity.demand(task)).collect();
        let assumed = priority::assumed(&tasks);
        let order = priority::order(&assumed, &demands, &total);

        let mut rank = vec![0; tasks.len()];
        let mut membership = vec![(0, 0); tasks.len()];
        let mut classes: Vec<Class> = Vec::new();
        let mut known: BTreeMap<&Amounts, usize> = BTreeMap::new();
        for (place, &task) in order.iter().enumerate() {
            rank[task] = place;
            let demand = &demands[task];
            let index = *known.entry(demand).or_insert_with(|| {
                let demand = demand.clone();
                classes.push(Class { demand, members: Vec::new(), queued: BTreeSet::new() });
                classes.len() - 1
            });
            let class = &mut classes[index];
            membership[task] = (index, class.members.len());
            class.queued.insert(class.members.len());
            class.members.push(task);
        }
        let lanes = 1 + total.len() - GROUPS;
        Self {
            free: total.clone(),
            reservations: vec![None; lanes],
            running: BTreeSet::new(),
            ends: vec![None; tasks.len()],
            tasks,
            capacity,
            assumed,
            rank,
            total,
            classes,
            membership,
        }
    }

    /// The next task to start, which counts as running from now on; `None` if none may start before one has
    /// [finished](Self::finished). Time alone lets none start.
    pub fn next(&mut self, now: Duration) -> Option<TaskId> {
        let before = self.reserve(now);
        let candidates = self.classes.iter().filter_map(|class| self.candidate(class, now));
        let task = candidates.min_by_key(|&task| self.rank[task])?;
        // Nothing is promised yet to whom this one comes before.
        let rank = &self.rank;
        for (held, before) in self.reservations.iter_mut().zip(before) {
            *held = match held.take() {
                Some(held) if rank[held.task] > rank[task] => {
                    before.filter(|before| before.task == held.task)
                }
                held => held,
            };
        }
        self.start(task, now);
        Some(TaskId(task))
    }

    /// A running task has ended, in whatever way. Of one that doesn't run, nothing is taken notice.
    pub fn finished(&mut self, id: TaskId) {
        if let Some(end) = self.ends.get_mut(id.0).and_then(Option::take) {
            self.running.remove(&(end, id.0));
            let demand = &self.classes[self.membership[id.0].0].demand;
            add(&mut self.free, demand);
        }
    }

    /// The tasks that wait, first things first, and why. It is true after [`next`](Self::next) gave none.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let queued = self
            .classes
            .iter()
            .flat_map(|class| class.queued.iter().map(move |&place| (class.members[place], class)));
        let mut queued: Vec<(usize, &Class)> = queued.collect();
        queued.sort_by_key(|&(task, _)| self.rank[task]);
        queued
            .into_iter()
            .map(|(task, class)| {
                let held = self.reservations.iter().flatten().find(|held| held.task == task);
                Waiting {
                    task: TaskId(task),
                    reason: self.reason(task, class),
                    reserved: held.map(|held| held.at),
                }
            })
            .collect()
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether it is known, and not guessed, when what runs should end.
    #[must_use]
    pub fn ends_are_known(&self) -> bool {
        self.running.iter().all(|&(_, task)| self.tasks[task].expected.is_some())
    }

    /// A task, if there is one of that id.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(id.0)
    }

    fn start(&mut self, task: usize, now: Duration) {
        let (class, place) = self.membership[task];
        let class = &mut self.classes[class];
        class.queued.remove(&place);
        self.free.iter_mut().zip(&class.demand).for_each(|(free, demand)| *free -= demand);
        let end = now.saturating_add(self.assumed[task]);
        self.ends[task] = Some(end);
        self.running.insert((end, task));
    }

    fn demand(&self, task: usize) -> &Amounts {
        &self.classes[self.membership[task].0].demand
    }

    /// Finds, for each lane, the first task that doesn't fit, and gives what was reserved before. Who waits for a group reserves
    /// nothing else, since nobody knows for when.
    fn reserve(&mut self, now: Duration) -> Vec<Option<Reservation>> {
        let lanes = self.reservations.len();
        let before = std::mem::replace(&mut self.reservations, vec![None; lanes]);
        let mut firsts: Vec<usize> = self.classes.iter().filter_map(Class::first).collect();
        firsts.sort_unstable_by_key(|&task| self.rank[task]);
        for task in firsts {
            let lacks = |index: &usize| !fits(self.demand(task), &self.free, lane(*index));
            let groups: Vec<usize> = (1..lanes).filter(lacks).collect();
            let lacking = match groups.is_empty() {
                true => Some(0).filter(lacks).into_iter().collect(),
                false => groups,
            };
            for index in lacking {
                if self.reservations[index].is_none() {
                    let earlier = before[index].as_ref().filter(|before| before.task == task);
                    self.reservations[index] = Some(self.reservation(task, index, now, earlier));
                }
            }
        }
        before
    }

    fn reservation(
        &self,
        task: usize,
        index: usize,
        now: Duration,
        earlier: Option<&Reservation>,
    ) -> Reservation {
        let wanted = self.demand(task);
        let mut at = now;
        let mut room = self.free.clone();
        for &(end, ending) in &self.running {
            if fits(wanted, &room, lane(index)) {
                break;
            }
            at = end.max(now);
            add(&mut room, self.demand(ending));
        }
        let at = earlier.map_or(at, |earlier| earlier.at.min(at));
        let mut beside = self.free.clone();
        for &(_, ending) in self.running.iter().take_while(|&&(end, _)| end <= at) {
            add(&mut beside, self.demand(ending));
        }
        beside.iter_mut().zip(wanted).for_each(|(room, wanted)| {
            *room = room.saturating_sub(*wanted);
        });
        Reservation { task, at, beside }
    }

    /// The first of a class that may start, if any may.
    fn candidate(&self, class: &Class, now: Duration) -> Option<usize> {
        if !fits(&class.demand, &self.free, 0..self.free.len()) {
            return None;
        }
        let mut place = *class.queued.first()?;
        loop {
            let task = class.members[place];
            let limit = self.in_the_way(task).map(|held| held.at.saturating_sub(now)).min();
            let Some(limit) = limit.filter(|&limit| self.assumed[task] > limit) else {
                return Some(task);
            };
            // A shorter one may be done in time. It may also have to let more go first, so it's asked again.
            let short = class.members.partition_point(|&member| self.assumed[member] > limit);
            place = *class.queued.range(short..).next()?;
        }
    }

    /// Reservations that a task would infringe if it ran for ever from now on.
    fn in_the_way(&self, task: usize) -> impl Iterator<Item = &Reservation> {
        let demand = self.demand(task);
        self.reservations.iter().enumerate().filter_map(move |(index, held)| {
            let held = held.as_ref()?;
            let overtakes = self.rank[held.task] < self.rank[task];
            (overtakes && !fits(demand, &held.beside, lane(index))).then_some(held)
        })
    }

    fn reason(&self, task: usize, class: &Class) -> Reason {
        let wanted = self.capacity.wanted(&self.tasks[task]);
        let groups: Vec<&String> = self.capacity.groups.keys().collect();
        let lacks = (0..self.free.len()).filter(|&place| class.demand[place] > self.free[place]);
        let lacks: Vec<Lack> = lacks
            .map(|place| Lack {
                resource: Resource::at(place, &groups),
                needed: wanted[place],
                free: self.free[place],
                total: self.total[place],
            })
            .collect();
        if !lacks.is_empty() {
            return Reason::Lacks(lacks);
        }
        match self.in_the_way(task).min_by_key(|held| self.rank[held.task]) {
            Some(held) => Reason::Behind(self.tasks[held.task].name.clone()),
            None => Reason::Next,
        }
    }
}

fn add(room: &mut Amounts, freed: &Amounts) {
    room.iter_mut().zip(freed).for_each(|(room, freed)| *room += freed);
}
