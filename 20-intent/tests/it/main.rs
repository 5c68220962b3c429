//! The tests of this layer that read files or hold its parts against each other.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what tests share may fail as tests do")]

mod bad_input;
mod golden;
mod plans;
mod schemas;
mod search;
mod world;

/// A source of chance that gives the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn example(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001").join(name);
    std::fs::read(path).unwrap()
}
