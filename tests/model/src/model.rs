//! The states, what may happen next in each of them, and the search for a wrong swap.

use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

/// What a row holds, which is in a unique key, too, if there is one.
type Value = Option<u8>;

const KEYS: usize = 2;

/// The rules of the protocol, each of which can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// 1. Every change puts its key into pending (else: not those that delete).
    EveryKey,
    /// 2. A refresh waits for the row's lock.
    LockingRead,
    /// 2. The copy begins when a marker, written after the stream's start, has come through.
    Fence,
    /// 3. The copy leaves alone what is there.
    NeverOverwrites,
    /// 4. A refresh that found no row is repeated after the chunks that were under way.
    Repeats,
    /// 6. The ghost has no unique key that the table's do not imply.
    OnlyImpliedKeys,
    /// 6. Where it has unique keys, one refresh at a time reads and writes.
    OneWriter,
    /// 7. A checkpoint's position is one whose keys have all been refreshed.
    SettledPosition,
    /// 7. A checkpoint's watermark is of chunks that have ended.
    FinishedChunks,
    /// 4, 7. What the dead client's connections still execute has ended before another one goes on.
    EndsTheDead,
    /// 8. Writers are blocked before the last marker.
    BlocksWriters,
    /// 8. The last marker comes through before the swap.
    LastMarker,
    /// 8. Nothing is pending at the swap.
    NothingPending,
}

const RULES: [Rule; 13] = [
    Rule::EveryKey,
    Rule::LockingRead,
    Rule::Fence,
    Rule::NeverOverwrites,
    Rule::Repeats,
    Rule::OnlyImpliedKeys,
    Rule::OneWriter,
    Rule::SettledPosition,
    Rule::FinishedChunks,
    Rule::EndsTheDead,
    Rule::BlocksWriters,
    Rule::LastMarker,
    Rule::NothingPending,
];

/// What the model is made of.
#[derive(Clone, Copy, Debug)]
struct World {
    without: Option<Rule>,
    /// The table at first.
    rows: [Value; KEYS],
    /// What a row may become.
    values: &'static [Value],
    writes: u8,
    crashes: u8,
    checkpoints: u8,
    refreshers: usize,
    /// The table has a unique key over its values, and so has the ghost.
    unique: bool,
}

impl World {
    fn has(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn ghost_is_unique(&self) -> bool {
        self.unique || !self.has(Rule::OnlyImpliedKeys)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Logged {
    Change { key: u8, deletes: bool },
    Marker,
}

/// A chunk, which has one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Chunk {
    Waiting,
    /// It has its snapshot of the table.
    Read(Value),
    Done,
}

/// A refresher, at one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Refresher {
    Idle,
    Taken(u8),
    /// The locking read has found a row, or none; the lock is given back.
    Looked {
        key: u8,
        found: bool,
    },
    /// What is to be written has been read.
    Read {
        key: u8,
        found: bool,
        value: Value,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Start,
    /// The marker is to be written.
    Following,
    Fenced,
    Copying,
    /// Writers are blocked.
    Locked,
    /// The last marker is written.
    LastCall,
    Swapped,
    /// The client is dead.
    Dead,
}

/// What a checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Checkpoint {
    position: u8,
    finished: [bool; KEYS],
    /// Whether the copy had begun: before that a run starts over.
    copying: bool,
}

/// What happens, at which key, with which value; of a refresher, which one it is.
#[derive(Clone, Copy, Debug)]
struct Step(&'static str, usize, Value, usize);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step(what, key, value, worker) = self;
        let value = value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
        let named = what.replace("{key}", &format!("key {key}")).replace("{value}", &value);
        f.write_str(&named.replace("{worker}", &worker.to_string()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    table: [Value; KEYS],
    ghost: [Value; KEYS],
    log: Vec<Logged>,
    /// Logged and not yet visible, in the order of the log; rows in here are locked. None is a marker.
    committing: Vec<Option<(u8, Value)>>,
    writes: u8,
    crashes: u8,
    checkpoints: u8,
    stage: Stage,
    /// The marker that is waited for, by its place in the log.
    marker: u8,
    position: u8,
    pending: [bool; KEYS],
    /// Keys that are refreshed again when these chunks have ended.
    again: [u8; KEYS],
    chunks: [Chunk; KEYS],
    refreshers: [Refresher; 2],
    /// The chunks that were under way while each refresher was at its key.
    met: [u8; 2],
    checkpoint: Checkpoint,
    /// What the dead client's connections may still write: of chunks, and of refreshers.
    late_chunks: [Option<Value>; KEYS],
    late_refreshes: Vec<(u8, bool, Value)>,
}

impl State {
    fn new(world: &World) -> Self {
        State {
            table: world.rows,
            ghost: [None; KEYS],
            log: Vec::new(),
            committing: Vec::new(),
            writes: world.writes,
            crashes: world.crashes,
            checkpoints: world.checkpoints,
            stage: Stage::Start,
            marker: 0,
            position: 0,
            pending: [false; KEYS],
            again: [0; KEYS],
            chunks: [Chunk::Waiting; KEYS],
            refreshers: [Refresher::Idle; 2],
            met: [0; 2],
            checkpoint: Checkpoint { position: 0, finished: [false; KEYS], copying: false },
            late_chunks: [None; KEYS],
            late_refreshes: Vec::new(),
        }
    }

    fn is_locked(&self, key: u8) -> bool {
        self.committing.iter().flatten().any(|(locked, _)| *locked == key)
    }

    fn writers_are_blocked(&self, world: &World) -> bool {
        let locked = matches!(self.stage, Stage::Locked | Stage::LastCall);
        locked && world.has(Rule::BlocksWriters) || self.stage == Stage::Swapped
    }

    fn is_settled(&self) -> bool {
        let idle = self.refreshers.iter().all(|refresher| *refresher == Refresher::Idle);
        idle && self.pending == [false; KEYS] && self.again == [0; KEYS]
    }

    fn under_way(&self) -> u8 {
        let reads = |chunk: &Chunk| matches!(chunk, Chunk::Read(_));
        (0..KEYS).filter(|key| reads(&self.chunks[*key])).map(|key| 1 << key).sum()
    }

    /// `REPLACE` into the ghost.
    fn replace(&mut self, world: &World, key: u8, value: Value) {
        let Some(new) = value else { return };
        if world.ghost_is_unique() {
            for (other, row) in self.ghost.iter_mut().enumerate() {
                if other != usize::from(key) && *row == Some(new) {
                    *row = None;
                }
            }
        }
        self.ghost[usize::from(key)] = value;
    }

    /// `INSERT .. ON DUPLICATE KEY UPDATE k = k` into the ghost.
    fn insert(&mut self, world: &World, key: usize, value: Value) {
        if !world.has(Rule::NeverOverwrites) {
            if value.is_some() {
                self.ghost[key] = value;
            }
            return;
        }
        let taken = world.ghost_is_unique() && value.is_some() && self.ghost.contains(&value);
        if self.ghost[key].is_none() && !taken {
            self.ghost[key] = value;
        }
    }

    fn write_refresh(&mut self, world: &World, key: u8, found: bool, value: Value) {
        if !found {
            self.ghost[usize::from(key)] = None;
        }
        self.replace(world, key, value);
    }

    /// All that may happen next, and what it is.
    fn next(&self, world: &World) -> Vec<(Step, State)> {
        let mut next = Vec::new();
        self.writers(world, &mut next);
        self.stream(world, &mut next);
        self.copy(world, &mut next);
        for worker in 0..world.refreshers {
            self.refresh(world, worker, &mut next);
        }
        self.stages(world, &mut next);
        self.write_checkpoint(world, &mut next);
        self.deaths(world, &mut next);
        next
    }

    fn writers(&self, world: &World, next: &mut Vec<(Step, State)>) {
        if self.writes > 0 && !self.writers_are_blocked(world) {
            for key in 0..KEYS {
                for value in world.values {
                    let number = u8::try_from(key).unwrap();
                    let last = self.table[key];
                    let taken = |(other, row): (usize, &Value)| other != key && row == value;
                    let uncommitted =
                        |change: &Option<(u8, Value)>| change.is_some_and(|(_, new)| new == *value);
                    // Writers wait for each other, at the row and at the unique key.
                    let clashes = world.unique
                        && value.is_some()
                        && (self.table.iter().enumerate().any(taken)
                            || self.committing.iter().any(uncommitted));
                    if *value == last || self.is_locked(number) || clashes {
                        continue;
                    }
                    let mut state = self.clone();
                    state.writes -= 1;
                    state.log.push(Logged::Change { key: number, deletes: value.is_none() });
                    state.committing.push(Some((number, *value)));
                    next.push((Step("{key} := {value} is logged", key, *value, 0), state));
                }
            }
        }
        if let Some(first) = self.committing.first() {
            let mut state = self.clone();
            state.committing.remove(0);
            if let Some((key, value)) = first {
                state.table[usize::from(*key)] = *value;
            }
            next.push((
                match first {
                    Some((key, value)) => {
                        Step("{key} := {value} can be seen", usize::from(*key), *value, 0)
                    }
                    None => Step("the marker can be seen", 0, None, 0),
                },
                state,
            ));
        }
    }

    fn stream(&self, world: &World, next: &mut Vec<(Step, State)>) {
        if matches!(self.stage, Stage::Start | Stage::Swapped | Stage::Dead) {
            return;
        }
        if let Some(event) = self.log.get(usize::from(self.position)) {
            let mut state = self.clone();
            state.position += 1;
            match event {
                Logged::Change { deletes: true, .. } if !world.has(Rule::EveryKey) => {}
                Logged::Change { key, .. } => state.pending[usize::from(*key)] = true,
                Logged::Marker => {}
            }
            next.push((
                match event {
                    Logged::Change { key, .. } => {
                        Step("the stream reads {key}", usize::from(*key), None, 0)
                    }
                    Logged::Marker => Step("the stream reads the marker", 0, None, 0),
                },
                state,
            ));
        }
    }

    fn copy(&self, world: &World, next: &mut Vec<(Step, State)>) {
        if self.stage != Stage::Copying {
            return;
        }
        for key in 0..KEYS {
            let mut state = self.clone();
            match self.chunks[key] {
                Chunk::Waiting => {
                    state.chunks[key] = Chunk::Read(self.table[key]);
                    for (worker, refresher) in self.refreshers.iter().enumerate() {
                        if *refresher != Refresher::Idle {
                            state.met[worker] |= 1 << key;
                        }
                    }
                    next.push((
                        Step("the chunk of {key} reads {value}", key, self.table[key], 0),
                        state,
                    ));
                }
                Chunk::Read(value) => {
                    state.insert(world, key, value);
                    state.chunks[key] = Chunk::Done;
                    for other in 0..KEYS {
                        if state.again[other] & (1 << key) != 0 {
                            state.again[other] &= !(1 << key);
                            state.pending[other] |= state.again[other] == 0;
                        }
                    }
                    next.push((Step("the chunk of {key} inserts {value}", key, value, 0), state));
                }
                Chunk::Done => {}
            }
        }
    }

    fn refresh(&self, world: &World, worker: usize, next: &mut Vec<(Step, State)>) {
        if matches!(self.stage, Stage::Start | Stage::Swapped | Stage::Dead) {
            return;
        }
        let mut state = self.clone();
        let what = match self.refreshers[worker] {
            Refresher::Idle => {
                for key in 0..KEYS {
                    let number = u8::try_from(key).unwrap();
                    // Of one key there is never more than one refresh under way.
                    let busy = self.refreshers.iter().any(|other| match other {
                        Refresher::Idle => false,
                        Refresher::Taken(at)
                        | Refresher::Looked { key: at, .. }
                        | Refresher::Read { key: at, .. } => *at == number,
                    });
                    if self.pending[key] && !busy {
                        let mut state = self.clone();
                        state.pending[key] = false;
                        state.met[worker] = self.under_way();
                        state.refreshers[worker] = Refresher::Taken(number);
                        next.push((
                            Step("refresher {worker} takes {key}", key, None, worker),
                            state,
                        ));
                    }
                }
                return;
            }
            Refresher::Taken(key) => {
                if world.has(Rule::LockingRead) && self.is_locked(key) {
                    return;
                }
                let found = self.table[usize::from(key)].is_some();
                state.refreshers[worker] = Refresher::Looked { key, found };
                Step("refresher {worker} looks at {key}", usize::from(key), None, worker)
            }
            Refresher::Looked { key, found } => {
                let reads = |other: &Refresher| matches!(other, Refresher::Read { .. });
                let must_wait = world.ghost_is_unique() && world.has(Rule::OneWriter);
                if must_wait && self.refreshers.iter().any(reads) {
                    return;
                }
                let value = self.table[usize::from(key)];
                state.refreshers[worker] = Refresher::Read { key, found, value };
                Step("refresher {worker} reads {key}: {value}", usize::from(key), value, worker)
            }
            Refresher::Read { key, found, value } => {
                state.write_refresh(world, key, found, value);
                state.refreshers[worker] = Refresher::Idle;
                let met = self.met[worker] & self.under_way();
                if !found && met != 0 && world.has(Rule::Repeats) {
                    state.again[usize::from(key)] |= met;
                }
                state.met[worker] = 0;
                Step("refresher {worker} writes {key}: {value}", usize::from(key), value, worker)
            }
        };
        next.push((what, state));
    }

    fn stages(&self, world: &World, next: &mut Vec<(Step, State)>) {
        let mut state = self.clone();
        let has_come = self.position > self.marker;
        let is_visible = !self.committing.contains(&None);
        let mark = |state: &mut State, stage: Stage| {
            state.marker = u8::try_from(state.log.len()).unwrap();
            state.log.push(Logged::Marker);
            state.committing.push(None);
            state.stage = stage;
        };
        let what = match self.stage {
            Stage::Start => {
                state.position = u8::try_from(self.log.len()).unwrap();
                state.checkpoint.position = state.position;
                state.stage = Stage::Following;
                "the stream begins"
            }
            Stage::Following if world.has(Rule::Fence) => {
                mark(&mut state, Stage::Fenced);
                "the marker is written"
            }
            Stage::Fenced if has_come && is_visible => {
                state.stage = Stage::Copying;
                "the copy begins"
            }
            Stage::Following => {
                state.stage = Stage::Copying;
                "the copy begins"
            }
            Stage::Copying if self.chunks == [Chunk::Done; KEYS] => {
                if !world.has(Rule::BlocksWriters) {
                    mark(&mut state, Stage::LastCall);
                    "the last marker is written, without a lock"
                } else if self.committing.is_empty() {
                    state.stage = Stage::Locked;
                    "the table is locked"
                } else {
                    return;
                }
            }
            Stage::Locked => {
                mark(&mut state, Stage::LastCall);
                "the last marker is written"
            }
            Stage::LastCall => {
                let came = has_come && is_visible || !world.has(Rule::LastMarker);
                let settled = self.is_settled() || !world.has(Rule::NothingPending);
                if !(came && settled) {
                    return;
                }
                state.stage = Stage::Swapped;
                "the tables are swapped"
            }
            _ => return,
        };
        next.push((Step(what, 0, None, 0), state));
    }

    fn write_checkpoint(&self, world: &World, next: &mut Vec<(Step, State)>) {
        if self.stage != Stage::Copying || self.checkpoints == 0 {
            return;
        }
        let settled = self.is_settled() || !world.has(Rule::SettledPosition);
        let finished = self.chunks.map(|chunk| match chunk {
            Chunk::Waiting => false,
            Chunk::Read(_) => !world.has(Rule::FinishedChunks),
            Chunk::Done => true,
        });
        let position = if settled { self.position } else { self.checkpoint.position };
        let checkpoint = Checkpoint { position, finished, copying: true };
        if checkpoint != self.checkpoint {
            let mut state = self.clone();
            state.checkpoints -= 1;
            state.checkpoint = checkpoint;
            next.push((Step("a checkpoint is written", 0, None, 0), state));
        }
    }

    fn deaths(&self, world: &World, next: &mut Vec<(Step, State)>) {
        if self.crashes > 0 && !matches!(self.stage, Stage::Start | Stage::Swapped | Stage::Dead) {
            let mut state = self.clone();
            state.crashes -= 1;
            state.stage = Stage::Dead;
            for key in 0..KEYS {
                if let Chunk::Read(value) = self.chunks[key] {
                    state.late_chunks[key] = Some(value);
                }
            }
            for refresher in self.refreshers {
                if let Refresher::Read { key, found, value } = refresher {
                    state.late_refreshes.push((key, found, value));
                }
            }
            state.pending = [false; KEYS];
            state.again = [0; KEYS];
            state.refreshers = [Refresher::Idle; 2];
            state.met = [0; 2];
            next.push((Step("the client dies", 0, None, 0), state));
        }
        if self.stage == Stage::Dead {
            self.rise(world, next);
        }
        // What is under way on the server when its client dies goes on there for a while.
        for key in 0..KEYS {
            if let Some(value) = self.late_chunks[key] {
                let mut state = self.clone();
                state.late_chunks[key] = None;
                state.insert(world, key, value);
                next.push((Step("the dead chunk of {key} inserts {value}", key, value, 0), state));
            }
        }
        for (at, (key, found, value)) in self.late_refreshes.iter().enumerate() {
            let mut state = self.clone();
            state.late_refreshes.remove(at);
            state.write_refresh(world, *key, *found, *value);
            next.push((
                Step("a dead refresher writes {key}: {value}", usize::from(*key), *value, 0),
                state,
            ));
        }
    }

    fn rise(&self, world: &World, next: &mut Vec<(Step, State)>) {
        let mut state = self.clone();
        if world.has(Rule::EndsTheDead) {
            state.late_chunks = [None; KEYS];
            state.late_refreshes.clear();
        }
        let Checkpoint { position, finished, copying } = self.checkpoint;
        state.position = position;
        state.chunks = finished.map(|done| if done { Chunk::Done } else { Chunk::Waiting });
        state.stage = if copying { Stage::Copying } else { Stage::Following };
        next.push((Step("another client goes on", 0, None, 0), state));
    }

    /// The property: at the swap the ghost is what the table is.
    fn is_right(&self) -> bool {
        self.stage != Stage::Swapped || self.ghost == self.table && self.committing.is_empty()
    }
}

/// A state, and the one that it comes from, by what step.
type Found = (Rc<State>, Option<(usize, Step)>);

/// What was found.
struct Search {
    states: usize,
    swaps: usize,
    /// The shortest way to a wrong swap.
    wrong: Option<Vec<String>>,
}

fn search(world: &World) -> Search {
    let first = Rc::new(State::new(world));
    let mut seen = HashSet::from([Rc::clone(&first)]);
    // In the order in which they are found, each with the one before it.
    let mut all: Vec<Found> = vec![(first, None)];
    let (mut at, mut swaps) = (0, 0);
    while let Some((state, _)) = all.get(at) {
        let state = Rc::clone(state);
        swaps += usize::from(state.stage == Stage::Swapped);
        if !state.is_right() {
            let mut way = vec![format!("table {:?}, ghost {:?}", state.table, state.ghost)];
            while let Some((before, step)) = &all[at].1 {
                way.push(step.to_string());
                at = *before;
            }
            way.reverse();
            return Search { states: all.len(), swaps, wrong: Some(way) };
        }
        for (step, next) in state.next(world) {
            let next = Rc::new(next);
            if seen.insert(Rc::clone(&next)) {
                all.push((next, Some((at, step))));
            }
        }
        at += 1;
    }
    Search { states: all.len(), swaps, wrong: None }
}

/// Rows that come and go, a client that dies.
const PLAIN: World = World {
    without: None,
    rows: [Some(0), None],
    values: &[None, Some(1)],
    writes: 2,
    crashes: 1,
    checkpoints: 1,
    refreshers: 1,
    unique: false,
};

/// Rows that exchange the values of a unique key; two refreshers.
const UNIQUE: World = World {
    without: None,
    rows: [Some(0), None],
    values: &[None, Some(0), Some(1)],
    writes: 3,
    crashes: 0,
    checkpoints: 0,
    refreshers: 2,
    unique: true,
};

/// Rows that have one value for a while, which no unique key forbids.
const NOT_UNIQUE: World =
    World { rows: [Some(0), Some(1)], writes: 2, refreshers: 1, unique: false, ..UNIQUE };

/// The world in which a rule matters.
fn world_of(rule: Rule) -> World {
    let world = match rule {
        Rule::OneWriter => UNIQUE,
        Rule::OnlyImpliedKeys => NOT_UNIQUE,
        _ => PLAIN,
    };
    World { without: Some(rule), ..world }
}

#[test]
fn with_all_rules_the_ghost_is_the_table() {
    for (name, world) in [("plain", PLAIN), ("unique", UNIQUE), ("not unique", NOT_UNIQUE)] {
        let found = search(&world);
        eprintln!("{name}: {} states, {} swaps", found.states, found.swaps);
        assert!(found.wrong.is_none(), "{name}: {:#?}", found.wrong);
        // It would be easy to be right without ever coming to the swap.
        assert!(found.swaps > 100, "{name}");
    }
}

#[test]
fn without_any_one_rule_it_is_not() {
    for rule in RULES {
        let found = search(&world_of(rule));
        let way = found.wrong.unwrap_or_else(|| panic!("{rule:?} makes no difference"));
        eprintln!("without {rule:?}:\n  {}", way.join("\n  "));
    }
}
