//! Which components of a running launcher a command is for.

use clap::Args;
use qc_cli::{Exit, Failure};
use qc_fleet::{Fleet, Role, is_account, is_named};

/// The name that stands for all components.
const ALL: &str = "all";

/// Components, by name, account or role. Several values of one flag are alternatives; of several
/// flags, all have to fit.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// Components, such as BRAIN_ATLAS, 'BRAIN_*' or `all`
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only those of these accounts, by key or number
    #[arg(long, value_name = "ACCOUNT", num_args = 1.., value_delimiter = ',')]
    pub account: Vec<String>,
    /// Only those of these roles: brain, watchdog, server, other
    #[arg(long, value_name = "ROLE", num_args = 1.., value_delimiter = ',', value_parser = role)]
    pub role: Vec<Role>,
}

/// A component that may be meant.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// The word for its role.
    pub role: &'a str,
    /// The number of its account.
    pub account: Option<&'a str>,
}

impl SelectionArgs {
    /// Whether nothing was named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.account.is_empty() && self.role.is_empty()
    }

    /// Whether the names stand for all components.
    pub fn names_all(&self) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(ALL))
    }

    /// Returns the names of the components that are meant. A plain name is returned as it is, so
    /// that the launcher can say what is wrong with it. `fleet` knows the keys of accounts.
    ///
    /// # Errors
    /// If anything names nothing, with exit code 2.
    pub fn resolve(
        &self,
        candidates: &[Candidate<'_>],
        fleet: Option<&Fleet>,
    ) -> Result<Vec<String>, Failure> {
        let is_plain = |name: &&String| !name.contains('*') && !name.eq_ignore_ascii_case(ALL);
        let narrowed = !self.account.is_empty() || !self.role.is_empty();
        if !narrowed && self.names.iter().all(|name| is_plain(&name)) {
            return Ok(self.names.clone());
        }
        let by_name = |wanted: &str, one: &Candidate<'_>| {
            wanted.eq_ignore_ascii_case(ALL) || is_named(wanted, one.name)
        };
        let by_account = |wanted: &str, one: &Candidate<'_>| {
            let component = fleet.and_then(|fleet| fleet.component(one.name));
            is_account(wanted, component.and_then(|it| it.account_key.as_deref()), one.account)
        };
        let by_role = |wanted: &Role, one: &Candidate<'_>| wanted.as_str() == one.role;
        let unknown = |what: String| {
            let hint = "`qc-launch status` lists the components and their accounts";
            Err(Failure::new(Exit::Usage, format!("no component is named by {what}"), hint))
        };
        let any = |fits: &dyn Fn(&Candidate<'_>) -> bool| candidates.iter().any(fits);
        if let Some(name) = self.names.iter().find(|name| !any(&|one| by_name(name, one))) {
            return unknown(format!("`{name}`"));
        }
        if let Some(account) = self.account.iter().find(|it| !any(&|one| by_account(it, one))) {
            return unknown(format!("account `{account}`"));
        }
        let wants = |one: &&Candidate<'_>| {
            (self.names.is_empty() || self.names.iter().any(|name| by_name(name, one)))
                && (self.account.is_empty() || self.account.iter().any(|it| by_account(it, one)))
                && (self.role.is_empty() || self.role.iter().any(|role| by_role(role, one)))
        };
        let names: Vec<String> =
            candidates.iter().filter(wants).map(|one| one.name.to_owned()).collect();
        if names.is_empty() { unknown("all of them together".into()) } else { Ok(names) }
    }
}

fn role(text: &str) -> Result<Role, String> {
    let roles = [Role::Brain, Role::Watchdog, Role::Server, Role::Other];
    let found = roles.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("the roles are {}", roles.map(Role::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: [Candidate<'_>; 5] = [
        Candidate { name: "quantum_server", role: "server", account: None },
        Candidate { name: "WATCHDOG_ATLAS", role: "watchdog", account: Some("7") },
        Candidate { name: "BRAIN_ATLAS", role: "brain", account: Some("7") },
        Candidate { name: "WATCHDOG_BOREAS", role: "watchdog", account: Some("8") },
        Candidate { name: "BRAIN_BOREAS", role: "brain", account: Some("8") },
    ];

    fn resolved(names: &[&str], accounts: &[&str], roles: &[Role]) -> Result<Vec<String>, String> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let (names, account) = (owned(names), owned(accounts));
        let args = SelectionArgs { names, account, role: roles.into() };
        args.resolve(&FLEET, None).map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn several_values_are_alternatives_and_several_flags_have_to_fit() {
        for (names, accounts, roles, expected) in [
            (&["BRAIN_ATLAS"][..], &[][..], &[][..], &["BRAIN_ATLAS"][..]),
            (&["brain_*"], &[], &[], &["BRAIN_ATLAS", "BRAIN_BOREAS"]),
            (
                &["BRAIN_*", "*_server"],
                &[],
                &[],
                &["quantum_server", "BRAIN_ATLAS", "BRAIN_BOREAS"],
            ),
            (&[], &["007"], &[], &["WATCHDOG_ATLAS", "BRAIN_ATLAS"]),
            (
                &[],
                &[],
                &[Role::Server, Role::Brain],
                &["quantum_server", "BRAIN_ATLAS", "BRAIN_BOREAS"],
            ),
            (&["all"], &["8"], &[Role::Brain], &["BRAIN_BOREAS"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(resolved(names, accounts, roles), Ok(expected), "{names:?} {accounts:?}");
        }
        assert_eq!(resolved(&["ALL"], &[], &[]).map(|names| names.len()), Ok(FLEET.len()));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (names, accounts, roles, part) in [
            (&["BRIAN_*"][..], &[][..], &[][..], "`BRIAN_*`"),
            (&["all", "X"], &[], &[], "`X`"),
            (&[], &["9"], &[], "account `9`"),
            (&["BRAIN_*"], &["7"], &[Role::Server], "all of them"),
        ] {
            let message = resolved(names, accounts, roles).expect_err("it names nothing");
            assert!(message.contains(part), "{message}");
        }
        // A plain name is the launcher's to refuse.
        assert_eq!(resolved(&["X"], &[], &[]), Ok(vec!["X".into()]));
    }
}
