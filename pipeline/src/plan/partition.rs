//! Things that are joined two by two, and the groups that they make.

/// Things by their places, each in one group, alone at first.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Points at one of smaller place in the group; the first points at itself.
    to: Vec<u32>,
}

impl Partition {
    /// So many things, each alone.
    pub fn of(things: usize) -> Self {
        Self {
            to: (0..things as u32).collect(),
        }
    }

    /// The first of the group that a thing is in.
    pub fn root(&mut self, thing: usize) -> usize {
        let mut at = thing as u32;
        while self.to[at as usize] != at {
            let above = self.to[self.to[at as usize] as usize];
            self.to[at as usize] = above;
            at = above;
        }
        at as usize
    }

    /// Makes one group of those that two things are in.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.to[a.max(b)] = a.min(b) as u32;
    }

    /// The groups of two things and more, each sorted, by their first.
    pub fn groups(mut self) -> Vec<Vec<usize>> {
        let mut of_root: Vec<Vec<usize>> = vec![Vec::new(); self.to.len()];
        for thing in 0..self.to.len() {
            of_root[self.root(thing)].push(thing);
        }
        of_root.retain(|group| group.len() > 1);
        of_root
    }
}

#[cfg(test)]
mod tests {
    use super::Partition;

    #[test]
    fn pairs_that_touch_are_one_group() {
        let mut things = Partition::of(10);
        for (a, b) in [(5, 3), (1, 2), (3, 9), (7, 8), (9, 5)] {
            things.join(a, b);
        }
        assert_eq!(things.root(9), things.root(5));
        assert_eq!(things.groups(), [vec![1, 2], vec![3, 5, 9], vec![7, 8]]);
        assert!(Partition::of(3).groups().is_empty());
        assert!(Partition::of(0).groups().is_empty());
    }
}
