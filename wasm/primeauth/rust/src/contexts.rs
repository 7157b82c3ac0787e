//! Which of a VM's plugins a request is under.

use std::collections::BTreeMap;
use std::rc::Rc;

/// The contexts of a VM, by the ids that the proxy gives them: those of its
/// plugins (one for each configuration of the filter) and those of the requests
/// that are under way.
///
/// Requests of the oldest plugin are counted, those of others noted one by one.
/// All but a moment after a change of configuration there is no other, and to find
/// a request's plugin then costs nothing.
pub struct Contexts<P> {
    roots: Vec<Root<P>>,
    uncounted: BTreeMap<u32, Rc<P>>, // requests of all but the oldest
    counted: usize,                  // requests of the oldest
}

struct Root<P> {
    id: u32,
    plugin: Option<Rc<P>>, // none before it is configured
    deleted: bool,         // stays while it has requests
}

impl<P> Contexts<P> {
    pub const fn new() -> Contexts<P> {
        Contexts {
            roots: Vec::new(),
            uncounted: BTreeMap::new(),
            counted: 0,
        }
    }

    /// Where a plugin's context is among the roots.
    fn at(&self, id: u32) -> Option<usize> {
        self.roots.iter().position(|r| r.id == id)
    }

    /// Takes in a context: a plugin's if it has no root, a request's otherwise.
    /// Panics, as a trap in the proxy, if the root has no plugin: such a request
    /// must not pass.
    pub fn create(&mut self, id: u32, root: u32) {
        if root == 0 {
            self.roots.push(Root {
                id,
                plugin: None,
                deleted: false,
            });
            return;
        }
        let at = self.at(root).expect("a request of an unknown plugin");
        let plugin = self.roots[at].plugin.as_ref();
        let plugin = plugin.expect("a request of a plugin without a configuration");
        if at == 0 {
            self.counted += 1;
        } else {
            self.uncounted.insert(id, Rc::clone(plugin));
        }
    }

    /// Gives a plugin's context what it was configured to be.
    pub fn configure(&mut self, id: u32, plugin: P) {
        let at = self.at(id).expect("an unknown plugin");
        self.roots[at].plugin = Some(Rc::new(plugin));
    }

    /// The plugin that a request is under.
    pub fn plugin(&self, id: u32) -> &P {
        let noted = self.uncounted.get(&id);
        let oldest = || self.roots.first().and_then(|r| r.plugin.as_ref());
        noted.or_else(oldest).expect("an unknown request")
    }

    /// The plugin of a root, once it is configured.
    pub fn root(&self, id: u32) -> Option<&P> {
        self.roots[self.at(id)?].plugin.as_deref()
    }

    /// Forgets a context.
    pub fn delete(&mut self, id: u32) {
        if self.uncounted.remove(&id).is_some() {
            return;
        }
        match self.at(id) {
            Some(0) => self.roots[0].deleted = true,
            Some(at) => drop(self.roots.remove(at)),
            None => self.counted = self.counted.saturating_sub(1),
        }
        if self.counted == 0 && self.roots.first().is_some_and(|r| r.deleted) {
            self.roots.remove(0); // the next is the oldest now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_plugins(plugins: &[(u32, &'static str)]) -> Contexts<&'static str> {
        let mut contexts = Contexts::new();
        for (id, plugin) in plugins {
            contexts.create(*id, 0);
            contexts.configure(*id, *plugin);
        }
        contexts
    }

    #[test]
    fn one_plugin() {
        let mut contexts = with_plugins(&[(1, "a")]);
        for id in [2, 3] {
            contexts.create(id, 1);
            assert_eq!(*contexts.plugin(id), "a");
        }
        contexts.delete(2);
        assert_eq!(*contexts.plugin(3), "a");
        assert_eq!((contexts.root(1), contexts.root(3)), (Some(&"a"), None));
        assert!(contexts.uncounted.is_empty());
    }

    #[test]
    fn a_change_of_configuration() {
        let mut contexts = with_plugins(&[(1, "a")]);
        contexts.create(2, 1);
        contexts.create(3, 0);
        contexts.configure(3, "b");
        contexts.create(4, 3);
        contexts.create(5, 1);
        contexts.delete(1); // before its requests
        let under = |contexts: &Contexts<_>, ids: &[u32]| {
            let of = |id: &u32| *contexts.plugin(*id);
            ids.iter().map(of).collect::<String>()
        };
        assert_eq!(under(&contexts, &[2, 4, 5]), "aba");
        contexts.delete(2);
        contexts.create(6, 3);
        assert_eq!(under(&contexts, &[4, 5, 6]), "bab");
        contexts.delete(5); // its last
        contexts.create(7, 3);
        assert_eq!(under(&contexts, &[4, 6, 7]), "bbb");
        assert_eq!((contexts.roots.len(), contexts.counted), (1, 1));
        for id in [4, 6, 7] {
            contexts.delete(id);
        }
        assert!(contexts.uncounted.is_empty() && contexts.counted == 0);
        contexts.delete(3);
        assert!(contexts.roots.is_empty());
    }

    #[test]
    fn two_plugins_that_stay() {
        let mut contexts = with_plugins(&[(1, "a"), (2, "b")]);
        contexts.create(3, 2);
        contexts.create(4, 1);
        contexts.delete(2); // before its request
        assert_eq!((*contexts.plugin(3), *contexts.plugin(4)), ("b", "a"));
        contexts.delete(3);
        contexts.delete(4);
        assert!(contexts.uncounted.is_empty() && contexts.counted == 0);
    }

    #[test]
    #[should_panic(expected = "without a configuration")]
    fn a_plugin_that_was_refused() {
        let mut contexts = Contexts::<()>::new();
        contexts.create(1, 0);
        contexts.create(2, 1);
    }

    #[test]
    #[should_panic(expected = "unknown plugin")]
    fn no_plugin() {
        Contexts::<()>::new().create(2, 1);
    }
}
