//! An installation that is simulated: the files of a directory, two people and a deputy, a journal in memory, a world, and a
//! control plane that can die and be started again.

use crate::life::{Held, Life};
use crate::{MemoryWitness, SeededChance, SimChannel, SimClock, SimWorld};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{ApprovalId, Clock, ComponentId, Ledger, Notifier, PrincipalId, Sensor, Severity, Signer as _};
use writ_pipeline::input::{self, AgentSpec, Bundle, Needs, Platform, Registry};
use writ_pipeline::{
    Consent, Foundations, Journal, OpenError, Pipeline, PipelineError, Ports, Principal, Setup, Standing,
    StandingBudget,
};
use writ_seal::Key;
use writ_store::MemoryLedger;

/// People of every site: name, id, roles. The operator asks and never approves.
const PEOPLE: [(&str, &str, &[&str]); 3] = [
    ("operator", "person-01", &["viewer", "operator", "admin"]),
    ("reviewer", "person-02", &["viewer", "approver", "release-manager", "capacity-owner"]),
    ("deputy", "person-03", &["viewer", "operator", "approver", "capacity-owner"]),
];

/// The key that permits are signed with, on every site.
#[must_use]
pub fn gate_key() -> Key {
    Key::from_seed("gate", &[8; 32])
}

/// The key of one agent: known, so that tests can act as a thief who has it.
#[must_use]
pub fn agent_key(agent: &str) -> Key {
    Key::from_seed(agent, &writ_seal::sha256(agent.as_bytes()).0)
}

/// Why a site does not open.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A file is unsound or missing.
    #[error("the files in {dir} are unsound: {because}")]
    Files {
        /// The directory.
        dir: String,
        /// What is wrong.
        because: String,
    },
    /// The journal.
    #[error("the journal does not open")]
    Journal(#[from] OpenError),
    /// The pipeline.
    #[error("the pipeline does not open")]
    Pipeline(#[from] PipelineError),
}

/// What the files of a directory say, read once and shared by many sites.
#[derive(Clone)]
pub struct Files {
    dir: PathBuf,
    agents: Vec<AgentSpec>,
    bundle: Arc<Bundle>,
    commands: Vec<input::DeclaredCommand>,
    policy_files: Vec<(String, Vec<u8>)>,
    consent: Consent,
    channel: bool,
    needs: Needs,
    platform: Arc<Platform>,
    playbooks: Vec<input::Playbook>,
    registry: Registry,
}

impl Files {
    /// Reads `platform.yaml`, `agents.yaml`, `policies/`, `contracts/` and, where there are any, `commands.yaml` and `playbooks/` of
    /// a directory.
    ///
    /// # Errors
    /// The first file that is unsound.
    pub fn read(dir: &Path) -> Result<Self, SiteError> {
        let bad = |because: String| SiteError::Files { dir: dir.display().to_string(), because };
        let told = |problems: Vec<input::Problem>| bad(rendered(&problems));
        let one = |name: &str| input::load(&dir.join(name)).map_err(|problem| told(vec![problem]));
        let platform = input::read_platform("platform.yaml", &one("platform.yaml")?).map_err(told)?;
        let agents = input::read_agents("agents.yaml", &one("agents.yaml")?).map_err(told)?;
        let (mut policy_files, mut contracts, mut needs) = (Vec::new(), Vec::new(), Needs::default());
        for name in names(&dir.join("policies")).map_err(|error| bad(error.to_string()))? {
            if !input::is_test_file(&name) {
                policy_files.push((name.clone(), one(&format!("policies/{name}"))?));
            }
        }
        for name in names(&dir.join("contracts")).map_err(|error| bad(error.to_string()))? {
            let bytes = one(&format!("contracts/{name}"))?;
            if name == "requirements.yaml" {
                needs = input::read_needs(&name, &bytes).map_err(told)?;
            } else {
                contracts.push(input::read_contract(&name, &bytes).map_err(told)?);
            }
        }
        let named: Vec<(&str, &[u8])> = policy_files.iter().map(|(name, bytes)| (name.as_str(), &**bytes)).collect();
        let bundle = Arc::new(Bundle::load(&named).map_err(told)?);
        let registry = Registry::of(contracts)
            .map_err(|refused| bad(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        let mut playbooks = Vec::new();
        for name in names(&dir.join("playbooks")).unwrap_or_default() {
            playbooks.push(input::read_playbook(&name, &one(&format!("playbooks/{name}"))?).map_err(told)?);
        }
        let commands = match dir.join("commands.yaml").exists() {
            true => input::read_commands("commands.yaml", &one("commands.yaml")?).map_err(told)?,
            false => Vec::new(),
        };
        let dir = dir.to_owned();
        Ok(Self {
            dir,
            agents,
            bundle,
            commands,
            policy_files,
            consent: Consent::One,
            channel: false,
            needs,
            platform: Arc::new(platform),
            playbooks,
            registry,
        })
    }

    /// The same with other policies.
    ///
    /// # Errors
    /// When they do not load.
    pub fn with_policies(&self, policies: &[(&str, &str)]) -> Result<Self, SiteError> {
        let files: Vec<(String, Vec<u8>)> =
            policies.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        let named: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &**bytes)).collect();
        let bundle = Bundle::load(&named)
            .map_err(|problems| SiteError::Files { dir: "given policies".to_owned(), because: rendered(&problems) })?;
        Ok(Self { bundle: Arc::new(bundle), policy_files: files, ..self.clone() })
    }

    /// The same with the policies of both.
    ///
    /// # Errors
    /// When they do not load together.
    pub fn and_policy(&self, name: &str, text: &str) -> Result<Self, SiteError> {
        let mut all: Vec<(String, String)> = self
            .policy_files
            .iter()
            .map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned()))
            .collect();
        all.push((name.to_owned(), text.to_owned()));
        let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        self.with_policies(&all)
    }

    /// The same with these contracts in the place of those of the directory.
    ///
    /// # Errors
    /// When one is not sound, or they do not follow each other.
    pub fn with_contracts(&self, texts: &[&str]) -> Result<Self, SiteError> {
        let bad = |because: String| SiteError::Files { dir: "given contracts".to_owned(), because };
        let read = |text: &&str| input::read_contract("given", text.as_bytes()).map_err(|found| bad(rendered(&found)));
        let contracts = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let refused = |refused: Vec<_>| bad(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        Ok(Self { registry: Registry::of(contracts).map_err(refused)?, needs: Needs::default(), ..self.clone() })
    }

    /// The same where changes of what governs need a second person.
    #[must_use]
    pub fn with_second_person(&self) -> Self {
        Self { consent: Consent::Two, ..self.clone() }
    }

    /// The same where people are told.
    #[must_use]
    pub fn with_channel(&self) -> Self {
        Self { channel: true, ..self.clone() }
    }

    /// The directory they were read from.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files that the policies stand in.
    #[must_use]
    pub fn policy_files(&self) -> &[(String, Vec<u8>)] {
        &self.policy_files
    }

    /// The policies.
    #[must_use]
    pub fn bundle(&self) -> Arc<Bundle> {
        self.bundle.clone()
    }
}

fn rendered(problems: &[input::Problem]) -> String {
    problems.iter().map(|problem| input::render("error", problem, None)).collect()
}

fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && name.ends_with(".yaml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// See the module.
pub struct Site {
    /// The world.
    pub world: SimWorld,
    /// What tells people, where they are told.
    pub channel: SimChannel,
    files: Arc<Files>,
    seed: u64,
    ledger: Arc<MemoryLedger>,
    witness: Arc<MemoryWitness>,
    clock: Arc<dyn Clock>,
    life: Life,
    lives: u64,
    disk: Duration,
    pipeline: Pipeline,
}

impl Site {
    /// Opens a site that has never been before. The same files and seed give the same site.
    ///
    /// # Errors
    /// When the files do not fit each other.
    pub async fn open(files: Arc<Files>, seed: u64) -> Result<Self, SiteError> {
        let clock: Arc<dyn Clock> = Arc::new(SimClock::new());
        let world = SimWorld::new(clock.clone(), gate_key().public_key(), seed ^ 0x3012_1d00);
        let (ledger, witness) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryWitness::default()));
        let life = Life::new();
        let channel = SimChannel::default();
        let parts = Parts {
            files: &files,
            seed,
            ledger: &ledger,
            witness: &witness,
            clock: &clock,
            world: &world,
            channel: &channel,
        };
        let pipeline = parts.live(&life, 0).await?;
        Ok(Self { world, channel, files, seed, ledger, witness, clock, life, lives: 0, disk: Duration::ZERO, pipeline })
    }

    /// Ends the control plane where it stands, if it still lives, and starts it again.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<(), SiteError> {
        self.life.end();
        self.lives += 1;
        self.life = Life::new();
        self.life.slow_disk(self.disk);
        let Self { files, seed, ledger, witness, clock, world, channel, .. } = &*self;
        let parts = Parts { files, seed: *seed, ledger, witness, clock, world, channel };
        self.pipeline = parts.live(&self.life, self.lives).await?;
        Ok(())
    }

    /// From now on the disk takes so long for each commit, in this life and in later ones.
    pub fn slow_disk(&mut self, span: Duration) {
        self.disk = span;
        self.life.slow_disk(span);
    }

    /// Other files from the next start on.
    pub fn change_files(&mut self, files: Arc<Files>) {
        self.files = files;
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// The control plane as it is now.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Its life.
    #[must_use]
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.lives
    }

    /// The journal's ledger, whether or not a control plane lives.
    #[must_use]
    pub fn ledger(&self) -> &Arc<MemoryLedger> {
        &self.ledger
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Lets so much time pass. Ends early when the control plane dies; answers what was left.
    pub async fn pass(&self, span: Duration) -> Duration {
        let until = self.clock.now().plus(span);
        tokio::select! {
            biased;
            () = self.life.ended() => {}
            () = self.clock.sleep(span) => {}
        }
        until.since(self.clock.now())
    }
}

/// A person of every site, by name.
#[must_use]
pub fn person(name: &str) -> Option<Principal> {
    let (_, id, roles) = PEOPLE.iter().find(|(known, _, _)| *known == name)?;
    Some(Principal { id: id.parse().ok()?, roles: roles.iter().map(|role| (*role).to_owned()).collect() })
}

struct Parts<'a> {
    files: &'a Files,
    seed: u64,
    ledger: &'a Arc<MemoryLedger>,
    witness: &'a Arc<MemoryWitness>,
    clock: &'a Arc<dyn Clock>,
    world: &'a SimWorld,
    channel: &'a SimChannel,
}

impl Parts<'_> {
    async fn live(&self, life: &Life, number: u64) -> Result<Pipeline, SiteError> {
        let held = |port: SimWorld| Arc::new(Held { life: life.clone(), port });
        let ledger: Arc<dyn Ledger> = self.ledger.clone();
        let gate = gate_key();
        let foundations = Foundations {
            ledger: Arc::new(Held { life: life.clone(), port: ledger }),
            signer: Arc::new(Key::from_seed("writ.test/log", &[7; 32])),
            gate_key: gate.public_key(),
            witness: self.witness.clone(),
            clock: Arc::new(Held { life: life.clone(), port: self.clock.clone() }),
            entropy: Arc::new(SeededChance::new(self.seed.wrapping_add(number << 32))),
            realm: "test".into(),
        };
        let journal = Journal::open(foundations).await?;
        let (seen, lives) = (self.world.clone(), life.clone());
        let channel = || Arc::new(Held { life: life.clone(), port: self.channel.clone() }) as Arc<dyn Notifier>;
        let notifiers = self.files.channel.then(channel).into_iter().collect();
        let ports = Ports {
            provider: held(self.world.clone()),
            sense: Arc::new(move |component: &ComponentId| {
                let port = seen.sensor(component.clone());
                Arc::new(Held { life: lives.clone(), port }) as Arc<dyn Sensor>
            }),
            notifiers,
            gate_signer: Arc::new(gate),
        };
        let setup = self.setup(&journal);
        Ok(Pipeline::open(journal, setup, ports).await?)
    }

    fn setup(&self, journal: &Journal) -> Setup {
        let files = self.files;
        let agents = files.agents.iter().map(|spec| {
            let key: Arc<dyn writ_core::Signer> = Arc::new(agent_key(spec.id.as_str()));
            (spec.clone(), key)
        });
        Setup {
            address: "http://writ.test".into(),
            agents: agents.collect(),
            bundle: files.bundle.clone(),
            commands: files.commands.clone(),
            consent: files.consent,
            policy_files: files.policy_files.clone(),
            needs: files.needs.clone(),
            platform: files.platform.clone(),
            playbooks: files.playbooks.clone(),
            registry: files.registry.clone(),
            approvers: "approver".into(),
            summary: Duration::from_secs(10),
            told_from: Severity::High,
            standing: standing(journal),
        }
    }
}

/// What the people agreed to beforehand, for a day.
fn standing(journal: &Journal) -> Option<Standing> {
    let (now, id) = (journal.now(), |at: usize| PEOPLE.get(at)?.1.parse::<PrincipalId>().ok());
    Some(Standing {
        actions: ["restart_instance", "restart_service", "restore_balancer", "scale_out", "scale_in"]
            .map(str::to_owned)
            .to_vec(),
        approvers: vec![id(1)?],
        author: id(0)?,
        budget: StandingBudget { count: 600, period_seconds: 3_600 },
        expires_at: now.plus(Duration::from_secs(86_400)),
        granted_at: now,
        id: ApprovalId::mint(now.millis(), journal.chance()),
        targets: vec!["*".into()],
    })
}
