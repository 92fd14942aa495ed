//! Tests of the identity as a whole, on stores of their own.

use std::path::Path;

use super::*;
use crate::ids::ObjectId;
use crate::store::Options;

const CHEAP: Cost = Cost { memory: 64, passes: 1 };
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct House {
    directory: tempfile::TempDir,
    store: Arc<Store>,
    clock: Arc<Clock>,
    identity: Identity,
}

fn given() -> FirstRun {
    FirstRun::from_environment(|name| {
        let value = match name {
            "PACKHOUSE_ADMIN_USER" => "root",
            "PACKHOUSE_ADMIN_PASSWORD" => "pass word",
            "PACKHOUSE_ADMIN_TOKEN" => " the-admin-token ",
            "PACKHOUSE_SIGNUP_KEY" => "come in",
            _ => return None,
        };
        Some(value.into())
    })
}

fn house(first: FirstRun) -> House {
    let directory = tempfile::tempdir().unwrap();
    let (store, clock) = (open_store(directory.path()), Arc::new(Clock::default()));
    let identity = open(&store, &clock, first).unwrap();
    House { directory, store, clock, identity }
}

fn open_store(directory: &Path) -> Arc<Store> {
    Store::open(directory, Options::default()).unwrap()
}

fn open(store: &Arc<Store>, clock: &Arc<Clock>, first: FirstRun) -> Result<Identity> {
    Identity::open_at_cost(store.clone(), clock.clone(), first, CHEAP)
}

impl House {
    /// The same data directory after a restart of the program.
    fn restart(self, first: FirstRun) -> House {
        let House { directory, store, clock, identity } = self;
        identity.flush().unwrap();
        drop(identity);
        store.close();
        drop(store);
        let store = open_store(directory.path());
        let identity = open(&store, &clock, first).unwrap();
        House { directory, store, clock, identity }
    }

    fn log_in(&self, password: &str, style: Style) -> Result<RawToken> {
        Ok(self.identity.login("root", &Password::new(password), HERE, style)?.0)
    }

    fn bearer(&self, raw: &str) -> Result<Principal> {
        self.identity.authenticate(&Credentials { bearer: Some(raw), ..Credentials::default() })
    }

    fn token(&self, raw: &str) -> Result<Principal> {
        self.identity.authenticate(&Credentials { api_token: Some(raw), ..Credentials::default() })
    }

    fn owner(&self) -> Account {
        self.store.read(accounts::operator).unwrap().unwrap()
    }

    fn change(&self, change: accounts::Change) {
        let (id, now) = (self.owner().id, self.clock.now());
        self.store.commit(move |tx| accounts::update(tx, id, &change, now)).unwrap();
    }
}

fn kind(result: Result<Principal>) -> std::result::Result<String, (Kind, String)> {
    result.map(|who| who.label()).map_err(|e| (e.kind, e.message.into_owned()))
}

fn refused(message: &str) -> std::result::Result<String, (Kind, String)> {
    Err((Kind::Unauthenticated, message.to_owned()))
}

#[test]
fn a_start_with_settings_makes_what_they_say_and_writes_no_note() {
    let house = house(given());
    assert_eq!(*house.identity.first_run(), FirstRunReport { owner: Some("root".into()), note: false });
    assert!(!house.directory.path().join(FIRST_RUN_NOTE).exists());
    let owner = house.owner();
    assert!(owner.operator && owner.username == "root");
    match house.token("the-admin-token").unwrap() {
        Principal::Token(token) => assert_eq!((token.admin, token.account), (true, Some(owner.id))),
        other => panic!("{other:?}"),
    }
    assert!(house.log_in("pass word", Style::Signed).is_ok());
    assert!(house.identity.check_signup_key("come in", HERE).unwrap());
    assert!(!house.identity.check_signup_key("come in ", HERE).unwrap());

    let again = house.restart(given());
    assert_eq!(*again.identity.first_run(), FirstRunReport::default());
    assert_eq!(again.owner(), owner);
}

#[test]
fn a_start_without_settings_makes_secrets_and_notes_them_once() {
    let house = house(FirstRun::default());
    assert_eq!(*house.identity.first_run(), FirstRunReport { owner: Some("admin".into()), note: true });
    let path = house.directory.path().join(FIRST_RUN_NOTE);
    let note = std::fs::read_to_string(&path).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777, 0o600);
    let value = |name: &str| {
        let line = note.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {note}"));
        line.trim().to_owned()
    };
    assert_eq!(value("User:"), "admin");
    assert_eq!(house.token(&value("API token:")).unwrap().label(), RawToken::exact(&value("API token:")).fingerprint());
    assert!(house.identity.check_signup_key(&value("Sign-up key:"), HERE).unwrap());
    let password = Password::new(value("Password:"));
    assert!(house.identity.login("admin", &password, HERE, Style::Opaque).is_ok());

    std::fs::remove_file(&path).unwrap();
    let again = house.restart(FirstRun::default());
    assert_eq!(*again.identity.first_run(), FirstRunReport::default());
    assert!(!path.exists());
    assert!(again.identity.login("admin", &password, HERE, Style::Opaque).is_ok());
}

#[test]
fn later_settings_change_no_account_but_bring_token_and_key() {
    let house = house(given());
    house.change(accounts::Change {
        password: Some(house.identity.hash_password(&Password::new("changed")).unwrap()),
        ..Default::default()
    });
    let mut later = given();
    later.password = Some(Password::new("from the environment"));
    later.user = Some("somebody".into());
    later.token = Some(RawToken::from_text("another-token"));
    later.signup_key = Some(RawToken::exact("new key"));
    let house = house.restart(later);
    assert_eq!(*house.identity.first_run(), FirstRunReport::default());
    assert!(house.log_in("from the environment", Style::Signed).is_err());
    assert!(house.log_in("changed", Style::Signed).is_ok());
    assert_eq!(house.store.read(accounts::count).unwrap(), 1);
    assert!(house.token("the-admin-token").is_ok() && house.token("another-token").is_ok());
    assert!(house.identity.check_signup_key("new key", HERE).unwrap());
    assert!(!house.identity.check_signup_key("come in", HERE).unwrap());

    // A pruned token of the environment is back after a start that still names it, and only then.
    let key = TokenKey::of("the-admin-token");
    house.store.commit(move |tx| tokens::remove(tx, key)).unwrap();
    assert!(house.token("the-admin-token").is_err());
    let house = house.restart(FirstRun::default());
    assert!(house.token("the-admin-token").is_err());
    let house = house.restart(given());
    assert!(house.token("the-admin-token").is_ok());
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let text = |value: &str| Some(value.to_owned());
    let cases = [
        (FirstRun { user: text("no blanks"), ..FirstRun::default() }, "PACKHOUSE_ADMIN_USER"),
        (FirstRun { password: Some(Password::new("x".repeat(1025))), ..given() }, "PACKHOUSE_ADMIN_PASSWORD"),
        (FirstRun { token: Some(RawToken::from_text("short")), ..given() }, "PACKHOUSE_ADMIN_TOKEN"),
        (FirstRun { token: Some(RawToken::from_text("not ascii größe")), ..given() }, "PACKHOUSE_ADMIN_TOKEN"),
        (FirstRun { token: Some(RawToken::from_text("two\nlines here")), ..given() }, "PACKHOUSE_ADMIN_TOKEN"),
    ];
    for (first, variable) in cases {
        let directory = tempfile::tempdir().unwrap();
        let error = open(&open_store(directory.path()), &Arc::default(), first).err().unwrap();
        assert!(error.kind == Kind::Invalid && error.message.starts_with(variable), "{error:?}");
    }
    let nothing = FirstRun::from_environment(|_| Some(String::new()));
    assert!(nothing.user.is_none() && nothing.password.is_none() && nothing.token.is_none());
}

#[test]
fn api_tokens() {
    let house = house(given());
    let fingerprint = TokenKey::of("the-admin-token").fingerprint();
    assert_eq!(kind(house.token("the-admin-token")), Ok(fingerprint.clone()));
    assert_eq!(kind(house.token("\t the-admin-token ")), Ok(fingerprint.clone()));
    assert_eq!(kind(house.bearer("the-admin-token")), Ok(fingerprint.clone()));
    for unknown in [fingerprint.as_str(), "The-Admin-Token", "the-admin-toke"] {
        assert_eq!(kind(house.token(unknown)), refused("Invalid api token"), "{unknown}");
        assert_eq!(kind(house.bearer(unknown)), refused("invalid or expired token"), "{unknown}");
    }
    for nothing in ["", "  "] {
        assert_eq!(kind(house.token(nothing)), Ok("anonymous".into()));
        assert_eq!(kind(house.bearer(nothing)), Ok("anonymous".into()));
    }
    // An API token decides alone, also beside a valid Bearer.
    let login = house.log_in("pass word", Style::Opaque).unwrap();
    let both =
        |api_token| Credentials { api_token: Some(api_token), bearer: Some(login.as_str()), ..Credentials::default() };
    assert_eq!(kind(house.identity.authenticate(&both("the-admin-token"))), Ok(fingerprint));
    assert_eq!(kind(house.identity.authenticate(&both("x"))), refused("Invalid api token"));
    assert_eq!(kind(house.identity.authenticate(&both(" "))), Ok("user:root".into()));
}

#[test]
fn scoped_tokens_come_by_bearer_and_expire() {
    let house = house(given());
    let raw = RawToken::random().unwrap();
    let now = house.clock.now();
    let scope = tokens::Scope {
        id: ObjectId([1; 12]),
        name: "ci".into(),
        prefix: "fns_12".into(),
        apps: vec![ObjectId([2; 12])],
        expires: Some(now.plus_seconds(100)),
    };
    let token = tokens::ApiToken { scope: Some(scope.clone()), ..tokens::ApiToken::new(false, now) };
    let key = raw.key();
    house.store.commit(move |tx| tokens::insert(tx, key, &token)).unwrap();
    assert_eq!(kind(house.token(raw.as_str())), refused("Invalid api token"));
    match house.bearer(raw.as_str()).unwrap() {
        Principal::Token(token) => assert_eq!(token.scope, Some(scope)),
        other => panic!("{other:?}"),
    }
    house.clock.shift(101);
    assert_eq!(kind(house.bearer(raw.as_str())), refused("token expired"));
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let house = house(given());
    let raw = RawToken::random().unwrap();
    let (key, now) = (raw.key(), house.clock.now());
    house.store.commit(move |tx| tokens::insert(tx, key, &tokens::ApiToken::new(false, now))).unwrap();
    assert!(house.token(raw.as_str()).is_ok());
    house.store.commit(move |tx| tokens::remove(tx, key)).unwrap();
    assert_eq!(kind(house.token(raw.as_str())), refused("Invalid api token"));
}

#[test]
fn logins_of_both_kinds_work_until_logout_expiry_or_a_new_password() {
    for style in [Style::Signed, Style::Opaque] {
        let house = house(given());
        let (first, second) = (house.log_in("pass word", style).unwrap(), house.log_in("pass word", style).unwrap());
        assert_eq!(first.as_str().matches('.').count(), if style == Style::Signed { 2 } else { 0 });
        assert_eq!(kind(house.bearer(first.as_str())), Ok("user:root".into()));
        assert!(house.identity.logout(first.as_str()).unwrap());
        assert!(!house.identity.logout(first.as_str()).unwrap());
        assert_eq!(kind(house.bearer(first.as_str())), refused("invalid or expired token"));
        assert_eq!(kind(house.bearer(second.as_str())), Ok("user:root".into()));

        let house = house.restart(given());
        assert!(house.bearer(second.as_str()).is_ok(), "logins survive a restart");
        house.clock.shift(25 * 3600);
        assert!(house.bearer(second.as_str()).is_err());

        let third = house.log_in("pass word", style).unwrap();
        house.change(accounts::Change {
            password: Some(house.identity.hash_password(&Password::new("new")).unwrap()),
            ..Default::default()
        });
        assert!(house.bearer(third.as_str()).is_err());
        assert!(house.log_in("pass word", style).is_err());
        assert!(house.log_in("new", style).is_ok());
    }
}

#[test]
fn an_opaque_login_slides_for_a_day_also_over_restarts() {
    let mut house = house(given());
    let login = house.log_in("pass word", Style::Opaque).unwrap();
    for step in 0..24 {
        house.clock.shift(3590);
        assert!(house.bearer(login.as_str()).is_ok(), "{step}");
        if step % 5 == 0 {
            house = house.restart(given());
        }
    }
    house.clock.shift(600);
    assert!(house.bearer(login.as_str()).is_err(), "24 hours are the end");

    let idle = house.log_in("pass word", Style::Opaque).unwrap();
    house.clock.shift(3602);
    assert!(house.bearer(idle.as_str()).is_err());
}

#[test]
fn renewals_are_written_apart_from_requests_and_revive_nothing() {
    let house = house(given());
    let login = house.log_in("pass word", Style::Opaque).unwrap();
    let key = login.key();
    let used = || house.store.read(|tx| logins::get(tx, key)).unwrap().map(|row| row.used);
    let made = used();
    house.clock.shift(100);
    house.bearer(login.as_str()).unwrap();
    assert_eq!(used(), made, "a request writes nothing");
    house.identity.flush().unwrap();
    assert!(used() > made);
    assert_eq!(house.identity.renewals.get(key), None);

    house.bearer(login.as_str()).unwrap();
    house.store.commit(move |tx| logins::remove(tx, key)).unwrap();
    house.identity.flush().unwrap();
    assert_eq!(used(), None);
}

#[test]
fn forged_logins() {
    let house = house(given());
    let login = house.log_in("pass word", Style::Signed).unwrap();
    let claims = jwt::Claims { username: "root".into(), exp: i64::MAX / 2_000_000, jti: String::new() };
    let forged = [
        // Signed by our own key, yet no row: not a login.
        jwt::sign(&house.identity.keys.signing, &claims).unwrap(),
        jwt::sign(&[0; 32], &claims).unwrap(),
        login.as_str()[1..].to_owned(),
        format!("{}x", login.as_str()),
        login.fingerprint(),
    ];
    for token in forged {
        assert_eq!(kind(house.bearer(&token)), refused("invalid or expired token"), "{token}");
    }
    // A row that asks for a signature is no help to another text.
    let (row, other) = (house.store.read(|tx| logins::get(tx, login.key())).unwrap().unwrap(), TokenKey::of("a.b.c"));
    let now = house.clock.now();
    house.store.commit(move |tx| logins::insert(tx, other, &row, now)).unwrap();
    assert_eq!(kind(house.bearer("a.b.c")), refused("invalid or expired token"));
}

#[test]
fn unknown_and_wrong_say_the_same_and_are_slowed_down() {
    let house = house(given());
    let login = house.log_in("pass word", Style::Opaque).unwrap();
    for attempt in 0..10 {
        let name = if attempt % 2 == 0 { "root" } else { "nobody" };
        let error = house.identity.login(name, &Password::new("x"), HERE, Style::Opaque).unwrap_err();
        assert_eq!((error.kind, &*error.message), (Kind::Unauthenticated, "invalid username or password"));
    }
    let error = house.log_in("pass word", Style::Opaque).unwrap_err();
    assert!(error.kind == Kind::Throttled && error.retry_after.is_some(), "{error:?}");
    assert!(house.bearer(login.as_str()).is_ok(), "who is in stays in");
    let elsewhere = "192.0.2.7".parse().unwrap();
    assert!(house.identity.login("root", &Password::new("pass word"), elsewhere, Style::Opaque).is_ok());
    for _ in 0..10 {
        assert!(!house.identity.check_signup_key("guess", elsewhere).unwrap());
    }
    assert_eq!(house.identity.check_signup_key("come in", elsewhere).unwrap_err().kind, Kind::Throttled);
}

#[test]
fn a_login_raises_an_old_hash() {
    let house = house(given());
    let House { directory, store, clock, identity } = house;
    drop(identity);
    let dearer = Cost { memory: 128, passes: 1 };
    let identity = Identity::open_at_cost(store.clone(), clock.clone(), given(), dearer).unwrap();
    let house = House { directory, store, clock, identity };
    let before = house.owner();
    assert!(before.password.contains("m=64"));
    house.log_in("pass word", Style::Opaque).unwrap();
    let after = house.owner();
    assert!(after.password.contains("m=128"));
    assert_eq!(after.epoch, before.epoch);
    house.log_in("pass word", Style::Opaque).unwrap();
}

#[test]
fn a_deleted_team_user_is_out_on_every_way() {
    let house = house(given());
    let owner = house.owner().id;
    let (id, now) = (ObjectId([9; 12]), house.clock.now());
    let password = house.identity.hash_password(&Password::new("pw")).unwrap();
    let new = accounts::NewAccount { id, username: "worker".into(), password };
    let raw = RawToken::random().unwrap();
    let key = raw.key();
    house
        .store
        .commit(move |tx| {
            accounts::create_team_user(tx, owner, &new, Permissions::default(), now)?;
            tokens::insert(tx, key, &tokens::ApiToken { account: Some(id), ..tokens::ApiToken::new(false, now) })
        })
        .unwrap();
    let (login, worker) = house.identity.login("worker", &Password::new("pw"), HERE, Style::Signed).unwrap();
    assert_eq!((worker.role, worker.operator, worker.tenant), (Role::Team { owner }, false, house.owner().tenant));
    assert!(house.bearer(login.as_str()).is_ok_and(|who| !who.is_admin()));
    house.store.commit(move |tx| accounts::remove(tx, id)).unwrap();
    assert!(house.bearer(login.as_str()).is_err());
    assert!(house.token(raw.as_str()).is_err());
    assert!(house.identity.login("worker", &Password::new("pw"), HERE, Style::Signed).is_err());
}

#[test]
fn clients_by_token_with_their_own_rules() {
    let house = house(given());
    let (tenant, id) = (house.owner().tenant, Uuid::from_bytes([7; 16]));
    let client = house
        .store
        .commit({
            let identity = Arc::new(open(&house.store, &house.clock, given()).unwrap());
            move |tx| identity.add_client(tx, tenant, id, "PC", Time(0))
        })
        .unwrap();
    let token = house.identity.client_token(&client).unwrap();
    let login = house.log_in("pass word", Style::Opaque).unwrap();
    let ask = |bearer: Option<&str>, token: &str, address: Option<&str>| {
        let address = address.map(|text| text.parse().unwrap());
        kind(house.identity.authenticate(&Credentials {
            bearer,
            client_token: Some(token),
            address,
            ..Default::default()
        }))
    };
    let label = format!("client:{id}");
    let bad = refused("Invalid Auth-Token");
    assert_eq!(ask(None, token.as_str(), Some("192.0.2.1")), Ok(label.clone()));
    assert_eq!(ask(Some(login.as_str()), token.as_str(), None), Ok("user:root".into()), "a valid Bearer wins");
    assert_eq!(ask(Some(login.as_str()), "wrong", None), Ok("user:root".into()));
    assert_eq!(ask(Some("stale"), token.as_str(), None), Ok(label.clone()), "an invalid one leaves it to the client");
    assert_eq!(ask(Some("stale"), "wrong", None), bad);
    assert_eq!(ask(None, &token.as_str().to_uppercase(), None), bad);

    let change = |change: clients::Change| {
        house.store.commit(move |tx| clients::update(tx, tenant, id, &change)).unwrap();
    };
    let blocked = Some(addresses::AddressList::parse("192.0.2.0/24").unwrap());
    change(clients::Change { blocked, ..Default::default() });
    assert_eq!(ask(None, token.as_str(), Some("::ffff:192.0.2.9")), bad);
    assert_eq!(ask(None, token.as_str(), None), bad, "an unknown address is not let past a list");
    assert_eq!(ask(None, token.as_str(), Some("198.51.100.1")), Ok(label.clone()));
    change(clients::Change { enabled: Some(false), ..Default::default() });
    assert_eq!(ask(None, token.as_str(), Some("198.51.100.1")), bad);
    change(clients::Change { enabled: Some(true), ..Default::default() });

    for _ in 0..10 {
        ask(None, "guess", Some("203.0.113.5")).unwrap_err();
    }
    assert_eq!(ask(None, "guess", Some("203.0.113.5")).unwrap_err().0, Kind::Throttled);
    assert_eq!(ask(None, token.as_str(), Some("203.0.113.5")), Ok(label), "a right token is never slowed down");
}

#[test]
fn no_secret_is_in_the_data_directory() {
    let house = house(given());
    let signed = house.log_in("pass word", Style::Signed).unwrap();
    let opaque = house.log_in("pass word", Style::Opaque).unwrap();
    let (tenant, identity) = (house.owner().tenant, Arc::new(open(&house.store, &house.clock, given()).unwrap()));
    let adding = identity.clone();
    let client = house.store.commit(move |tx| adding.add_client(tx, tenant, Uuid::nil(), "PC", Time(0))).unwrap();
    let client = identity.client_token(&client).unwrap();
    house.store.close();
    let secrets = ["pass word", "the-admin-token", "come in", signed.as_str(), opaque.as_str(), client.as_str()];
    for entry in std::fs::read_dir(house.directory.path()).unwrap().flatten() {
        if entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            for secret in secrets {
                assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret} in {:?}", entry.path());
            }
        }
    }
}
