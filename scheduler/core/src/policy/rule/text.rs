//! A rule as it stands in a file: which keys go with which kind, and in which ranges.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Budget, Per, Rule, RuleKind, SOFT_SECONDS_MAX, When};
use crate::{
    ids::{HostId, VmId},
    policy::{selector::Tagged, window::DailyWindow},
};

/// The keys of a rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    kind: Kind,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vms: Option<Vec<VmId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vms_tagged: Option<Tagged>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<HostId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hosts_tagged: Option<Tagged>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<Per>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_once: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moves_max: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<DailyWindow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soft_seconds: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    AntiAffinity,
    Affinity,
    Pin,
    Exclude,
    Exclusive,
    HostsMax,
    Disruption,
}

/// Why a rule's keys make no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// A key of another kind.
    #[error("rule {rule:?}: a rule of kind {kind} has no {key} (hint: {kind} takes {takes})")]
    Misplaced {
        /// The rule.
        rule: String,
        /// Its kind.
        kind: &'static str,
        /// The key.
        key: &'static str,
        /// The keys beside `kind` and `name` that it may have.
        takes: &'static str,
    },
    /// A key that the kind needs.
    #[error("rule {rule:?}: a rule of kind {kind} needs {keys} (hint: add one of them)")]
    Missing {
        /// The rule.
        rule: String,
        /// Its kind.
        kind: &'static str,
        /// The key, or several of which one is needed.
        keys: &'static str,
    },
    /// A number outside its range.
    #[error("rule {rule:?}: {key} = {value} is out of range (hint: {key} takes {range})")]
    Range {
        /// The rule.
        rule: String,
        /// The key.
        key: &'static str,
        /// What was written.
        value: u32,
        /// What is accepted.
        range: String,
    },
    /// A preference at every moment.
    #[error(
        "rule {rule:?}: a preference (soft_seconds) is judged at the end of a plan \
         (hint: drop `when`, or drop soft_seconds to make the rule hard)"
    )]
    SoftAtEveryMoment {
        /// The rule.
        rule: String,
    },
    /// A key of tags that no tag can have.
    #[error(
        "rule {rule:?}: per = {per:?} is no key of a tag \
         (hint: write \"host\", or the key of a host tag such as rack=r1: \"rack\")"
    )]
    Per {
        /// The rule.
        rule: String,
        /// What was written.
        per: String,
    },
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::AntiAffinity => "anti-affinity",
            Self::Affinity => "affinity",
            Self::Pin => "pin",
            Self::Exclude => "exclude",
            Self::Exclusive => "exclusive",
            Self::HostsMax => "hosts-max",
            Self::Disruption => "disruption",
        }
    }

    const fn takes(self) -> &'static str {
        match self {
            Self::AntiAffinity => "vms, vms_tagged, per, most, when, soft_seconds",
            Self::Affinity => "vms, vms_tagged, per, when, soft_seconds",
            Self::Pin | Self::Exclude => "vms, vms_tagged, hosts, hosts_tagged, when, soft_seconds",
            Self::Exclusive => "vms, vms_tagged, when, soft_seconds",
            Self::HostsMax => "vms, vms_tagged, hosts, hosts_tagged, most, when, soft_seconds",
            Self::Disruption => "vms, vms_tagged, at_once, moves_max, windows",
        }
    }
}

impl RuleText {
    /// Every key that is written but `kind` and `name`.
    fn written(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("vms", self.vms.is_some()),
            ("vms_tagged", self.vms_tagged.is_some()),
            ("hosts", self.hosts.is_some()),
            ("hosts_tagged", self.hosts_tagged.is_some()),
            ("per", self.per.is_some()),
            ("most", self.most.is_some()),
            ("at_once", self.at_once.is_some()),
            ("moves_max", self.moves_max.is_some()),
            ("windows", !self.windows.is_empty()),
            ("when", self.when.is_some()),
            ("soft_seconds", self.soft_seconds.is_some()),
        ];
        keys.into_iter().filter_map(|(key, written)| written.then_some(key))
    }

    fn check(&self) -> Result<(), RuleError> {
        let (rule, kind) = (self.name.clone(), self.kind.name());
        let takes = self.kind.takes();
        if let Some(key) = self.written().find(|key| !takes.split(", ").any(|own| own == *key)) {
            return Err(RuleError::Misplaced { rule, kind, key, takes });
        }
        let missing = |keys| Err(RuleError::Missing { rule: rule.clone(), kind, keys });
        if self.vms.is_none() && self.vms_tagged.is_none() {
            return missing("vms or vms_tagged");
        }
        let no_hosts = self.hosts.is_none() && self.hosts_tagged.is_none();
        match self.kind {
            Kind::Pin | Kind::Exclude if no_hosts => return missing("hosts or hosts_tagged"),
            Kind::HostsMax if self.most.is_none() => return missing("most"),
            Kind::Disruption
                if self.at_once.is_none()
                    && self.moves_max.is_none()
                    && self.windows.is_empty() =>
            {
                return missing("at_once, moves_max or windows");
            }
            _ => {}
        }
        self.check_values()
    }

    fn check_values(&self) -> Result<(), RuleError> {
        let rule = self.name.clone();
        let zero = [("most", self.most), ("at_once", self.at_once)];
        if let Some((key, _)) = zero.into_iter().find(|(_, value)| *value == Some(0)) {
            return Err(RuleError::Range { rule, key, value: 0, range: "1 or more".to_owned() });
        }
        if let Some(value) = self.soft_seconds
            && !(1..=SOFT_SECONDS_MAX).contains(&value)
        {
            let range = format!("1 to {SOFT_SECONDS_MAX} guest-seconds");
            return Err(RuleError::Range { rule, key: "soft_seconds", value, range });
        }
        if self.soft_seconds.is_some() && self.when == Some(When::Continuous) {
            return Err(RuleError::SoftAtEveryMoment { rule });
        }
        if let Some(Per::Tag(key)) = &self.per
            && (key.is_empty() || key.contains('=') || !key.chars().all(crate::policy::in_tag))
        {
            return Err(RuleError::Per { rule, per: key.clone() });
        }
        Ok(())
    }
}

impl TryFrom<RuleText> for Rule {
    type Error = RuleError;

    fn try_from(text: RuleText) -> Result<Self, RuleError> {
        text.check()?;
        let (per, most) = (text.per.unwrap_or_default(), text.most.unwrap_or(1));
        let kind = match text.kind {
            Kind::AntiAffinity => RuleKind::AntiAffinity { per, most },
            Kind::Affinity => RuleKind::Affinity { per },
            Kind::Pin => RuleKind::Pin,
            Kind::Exclude => RuleKind::Exclude,
            Kind::Exclusive => RuleKind::Exclusive,
            Kind::HostsMax => RuleKind::HostsMax { most },
            Kind::Disruption => RuleKind::Disruption(Budget {
                at_once: text.at_once,
                moves_max: text.moves_max,
                windows: text.windows,
            }),
        };
        Ok(Self {
            name: text.name,
            kind,
            vms: text.vms.unwrap_or_default(),
            vms_tagged: text.vms_tagged,
            hosts: text.hosts.unwrap_or_default(),
            hosts_tagged: text.hosts_tagged,
            when: text.when,
            soft_seconds: text.soft_seconds,
        })
    }
}

impl From<Rule> for RuleText {
    fn from(rule: Rule) -> Self {
        let not_usual = |per: Per| (per != Per::Host).then_some(per);
        let (kind, per, most) = match &rule.kind {
            RuleKind::AntiAffinity { per, most } => {
                (Kind::AntiAffinity, not_usual(per.clone()), (*most != 1).then_some(*most))
            }
            RuleKind::Affinity { per } => (Kind::Affinity, not_usual(per.clone()), None),
            RuleKind::Pin => (Kind::Pin, None, None),
            RuleKind::Exclude => (Kind::Exclude, None, None),
            RuleKind::Exclusive => (Kind::Exclusive, None, None),
            RuleKind::HostsMax { most } => (Kind::HostsMax, None, Some(*most)),
            RuleKind::Disruption(_) => (Kind::Disruption, None, None),
        };
        let budget = match rule.kind {
            RuleKind::Disruption(budget) => budget,
            _ => Budget::default(),
        };
        // Names are left out only where tags stand for them.
        let vms = (!rule.vms.is_empty() || rule.vms_tagged.is_none()).then_some(rule.vms);
        let placing = matches!(kind, Kind::Pin | Kind::Exclude) && rule.hosts_tagged.is_none();
        let hosts = (!rule.hosts.is_empty() || placing).then_some(rule.hosts);
        Self {
            kind,
            name: rule.name,
            vms,
            vms_tagged: rule.vms_tagged,
            hosts,
            hosts_tagged: rule.hosts_tagged,
            per,
            most,
            at_once: budget.at_once,
            moves_max: budget.moves_max,
            windows: budget.windows,
            when: rule.when,
            soft_seconds: rule.soft_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rule, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_was_written_before_reads_and_writes_as_before() {
        for text in [
            r#"{"kind":"anti-affinity","name":"a","vms":["v","w"]}"#,
            r#"{"kind":"affinity","name":"a","vms":[]}"#,
            r#"{"kind":"pin","name":"a","vms":["v"],"hosts":["h"]}"#,
            r#"{"kind":"exclude","name":"a","vms":["v"],"hosts":[]}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn every_kind_comes_back() {
        for text in [
            r#"{"kind":"anti-affinity","name":"a","vms_tagged":"db","per":"rack","most":2}"#,
            r#"{"kind":"affinity","name":"a","vms":["v"],"per":"rack","soft_seconds":60}"#,
            r#"{"kind":"pin","name":"a","vms":["v"],"hosts_tagged":"ssd","when":"end"}"#,
            r#"{"kind":"exclusive","name":"a","vms_tagged":"tenant=x"}"#,
            r#"{"kind":"hosts-max","name":"a","vms_tagged":"oracle","hosts_tagged":"ssd","most":3}"#,
            r#"{"kind":"disruption","name":"a","vms":["v"],"at_once":1,"moves_max":0,"windows":[{"from":"22:00","to":"06:00"}]}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn faults_name_the_rule_and_the_key_and_help() {
        let rule = |kind: &str, rest: &str| {
            format!(r#"{{"kind":"{kind}","name":"r1","vms":["v"]{rest}}}"#)
        };
        for (text, named) in [
            (rule("pin", r#","hosts":["h"],"most":2"#), "no most"),
            (rule("anti-affinity", r#","hosts":["h"]"#), "no hosts"),
            (rule("anti-affinity", r#","most":0"#), "most = 0"),
            (rule("disruption", r#","at_once":0"#), "at_once = 0"),
            (rule("disruption", ""), "at_once, moves_max or windows"),
            (rule("disruption", r#","at_once":1,"soft_seconds":5"#), "no soft_seconds"),
            (rule("hosts-max", ""), "needs most"),
            (rule("pin", ""), "hosts or hosts_tagged"),
            (rule("affinity", r#","soft_seconds":0"#), "soft_seconds = 0"),
            (rule("affinity", r#","soft_seconds":90000"#), "1 to 86400"),
            (rule("exclusive", r#","soft_seconds":5,"when":"continuous""#), "at the end"),
            (rule("affinity", r#","per":"rack=r1""#), "rack=r1"),
            (r#"{"kind":"exclusive","name":"r1"}"#.to_owned(), "vms or vms_tagged"),
        ] {
            let said = read(&text).unwrap_err().to_string();
            assert!(said.contains("\"r1\"") && said.contains(named), "{text}: {said}");
            assert!(said.contains("(hint: "), "{said}");
        }
        assert!(read(&rule("affinity", r#","colour":1"#)).is_err());
        assert!(read(&rule("exclusive", r#","vms_tagged":"a and""#)).is_err());
    }
}
