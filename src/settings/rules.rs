//! Settings of the rules: a map file, or LEGACY mode.

use std::{fmt, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches, Id, error::Error, parser::ValueSource};

use super::{SettingsError, table, value::given};
use crate::{image::is_valid_reference, rules::LegacyPrefix};

/// The source of the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RuleSource {
    /// The built-in map.
    BuiltIn(&'static str),
    /// The map file at the default path.
    DefaultMapFile(PathBuf),
    /// LEGACY mode.
    Legacy(LegacyPrefix),
    /// A map file that the settings name.
    MapFile(PathBuf),
}

/// A flag of the command line that decides differently from the environment, or decides nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RuleWarning {
    /// `--maps-file` is given, so the map is used although `IMAGESWAP_MODE` is `LEGACY`.
    ModeOverridden,
    /// `--image-prefix` is given, in MAPS mode.
    PrefixUnused,
}

/// Values of the setting that selects a [`RuleSource`].
#[derive(Clone, Copy)]
enum Mode {
    Legacy,
    Maps,
}

const MODES: [(&str, Mode); 2] = [("MAPS", Mode::Maps), ("LEGACY", Mode::Legacy)];

/// Raw text of the flags that select the rules.
#[derive(Args, Clone, Debug)]
struct RuleTexts {
    /// Rules file, called the map
    ///
    /// It has one rule per line, for example `docker.io::registry.example.com`. See docs/writing-maps.md. The flag
    /// selects the mode `MAPS` even if `IMAGESWAP_MODE` is `LEGACY`.
    #[arg(long, visible_alias = "maps", env = "IMAGESWAP_MAPS_FILE", value_name = "FILE")]
    maps_file: Option<String>,

    /// Rewrite mode: `MAPS` follows the map, `LEGACY` puts one prefix before images (deprecated)
    #[arg(long, env = "IMAGESWAP_MODE", value_name = "MODE")]
    mode: Option<String>,

    /// Registry, with an optional path, that `LEGACY` mode puts before images
    #[arg(long, env = "IMAGE_PREFIX", value_name = "PREFIX")]
    image_prefix: Option<String>,
}

/// Raw text of the flags that select the rules, and which of them are on the command line.
///
/// A flag on the command line wins over the environment, for example that of a container.
#[derive(Clone, Debug)]
pub struct RuleArguments {
    texts: RuleTexts,
    is_maps_file_on_command_line: bool,
    is_mode_on_command_line: bool,
    is_prefix_on_command_line: bool,
}

impl RuleArguments {
    /// Returns the source of the rules. It does not read the map file.
    ///
    /// # Errors
    /// If the mode or the prefix is not valid, or the command line has a map and LEGACY mode.
    pub fn parse(&self) -> Result<RuleSource, SettingsError> {
        self.parse_or(None)
    }

    /// Parses like [`Self::parse`], with a built-in map in place of the default file.
    pub(super) fn parse_or(
        &self,
        built_in: Option<&'static str>,
    ) -> Result<RuleSource, SettingsError> {
        let RuleTexts { maps_file, image_prefix, .. } = &self.texts;
        if let Mode::Legacy = self.mode()? {
            let prefix = table::IMAGE_PREFIX.or_default(image_prefix);
            let separator = if prefix.ends_with(['-', '/']) { "" } else { "/" };
            if !prefix.is_empty() && !is_valid_reference(&format!("{prefix}{separator}image")) {
                return Err(table::IMAGE_PREFIX.error(prefix));
            }
            return Ok(RuleSource::Legacy(LegacyPrefix::new(prefix)));
        }
        Ok(match (given(maps_file), built_in) {
            (Some(file), _) => RuleSource::MapFile(file.into()),
            (None, Some(map)) => RuleSource::BuiltIn(map),
            (None, None) => {
                RuleSource::DefaultMapFile(table::MAPS_FILE.or_default(maps_file).into())
            }
        })
    }

    /// Returns the warnings about flags that the environment contradicts, or that have no effect.
    #[must_use]
    pub fn warnings(&self) -> Vec<RuleWarning> {
        let configured = self.configured_mode();
        let (Ok(configured), Ok(mode)) = (configured, self.mode()) else { return Vec::new() };
        let is_overridden = matches!((configured, mode), (Mode::Legacy, Mode::Maps));
        let is_prefix_unused = self.is_prefix_on_command_line && matches!(mode, Mode::Maps);
        let warnings = [
            (is_overridden, RuleWarning::ModeOverridden),
            (is_prefix_unused, RuleWarning::PrefixUnused),
        ];
        warnings.into_iter().filter(|(applies, _)| *applies).map(|(_, warning)| warning).collect()
    }

    /// Returns true if the command line has a map.
    #[must_use]
    pub fn has_map_on_command_line(&self) -> bool {
        self.is_maps_file_on_command_line && given(&self.texts.maps_file).is_some()
    }

    /// Returns the mode, which a map on the command line decides before the environment does.
    fn mode(&self) -> Result<Mode, SettingsError> {
        let has_map_on_command_line = self.has_map_on_command_line();
        match self.configured_mode()? {
            Mode::Legacy if has_map_on_command_line && self.is_mode_on_command_line => {
                Err(SettingsError::MapAndLegacy)
            }
            Mode::Legacy if has_map_on_command_line => Ok(Mode::Maps),
            mode => Ok(mode),
        }
    }

    fn configured_mode(&self) -> Result<Mode, SettingsError> {
        table::MODE.choose(table::MODE.or_default(&self.texts.mode), &MODES)
    }
}

impl FromArgMatches for RuleArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        let is_on_command_line =
            |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let [is_maps_file_on_command_line, is_mode_on_command_line, is_prefix_on_command_line] =
            ["maps_file", "mode", "image_prefix"].map(is_on_command_line);
        let texts = RuleTexts::from_arg_matches_mut(matches)?;
        Ok(Self {
            texts,
            is_maps_file_on_command_line,
            is_mode_on_command_line,
            is_prefix_on_command_line,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for RuleArguments {
    fn group_id() -> Option<Id> {
        RuleTexts::group_id()
    }

    fn augment_args(command: Command) -> Command {
        RuleTexts::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        RuleTexts::augment_args_for_update(command)
    }
}

impl fmt::Display for RuleSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(_) => formatter.write_str("the built-in sample map"),
            Self::Legacy(_) => formatter.write_str("LEGACY mode"),
            Self::DefaultMapFile(file) | Self::MapFile(file) => file.display().fmt(formatter),
        }
    }
}

impl fmt::Display for RuleWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(text_of_rule_warning(*self))
    }
}

/// Returns the text of a warning, for the log and for standard error.
pub(crate) fn text_of_rule_warning(warning: RuleWarning) -> &'static str {
    match warning {
        RuleWarning::ModeOverridden => {
            "the map of --maps-file is used, although IMAGESWAP_MODE is LEGACY"
        }
        RuleWarning::PrefixUnused => "--image-prefix has no effect in MAPS mode",
    }
}
