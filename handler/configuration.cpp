// SPDX-License-Identifier: Apache-2.0
#include "handler/configuration.h"

#include <fmt/format.h>

#include <utility>

#include "handler/config_string.h"

namespace ballast::handler {
namespace {

struct Whole {
  lun::LunConfig config;
  lun::Profiles profiles;
};

Result<Whole> with_file(std::string_view text) {
  Result<lun::Profiles> profiles = lun::Profiles::read(lun::Profiles::usual_path());
  if (!profiles) {
    return profiles.error();
  }
  Result<lun::LunConfig> config = lun::parse(text, profiles.value());
  if (!config) {
    return config.error();
  }
  return Whole{.config = std::move(config).value(), .profiles = std::move(profiles).value()};
}

}  // namespace

Result<lun::LunConfig> new_configuration(std::string_view daemon_string) {
  Result<Whole> whole = with_file(config_string(daemon_string));
  if (!whole) {
    return whole.error();
  }
  return std::move(whole.value().config);
}

Result<Configuration> opening_configuration(std::string_view daemon_string) {
  const std::string_view text = config_string(daemon_string);
  Result<Whole> whole = with_file(text);
  if (whole) {
    return Configuration{.config = std::move(whole.value().config),
                         .profiles = std::move(whole.value().profiles),
                         .warning = {}};
  }
  Result<lun::LunConfig> alone = lun::parse(text);
  if (!alone) {
    return alone.error();
  }
  return Configuration{
      .config = std::move(alone).value(),
      .profiles = std::nullopt,
      .warning = fmt::format("only the settings of the LUN's own string count, until it is opened "
                             "again: {}",
                             whole.error().message)};
}

Result<lun::LunConfig> changed_configuration(const std::optional<lun::Profiles>& at_opening,
                                             std::string_view daemon_string) {
  const std::string_view text = config_string(daemon_string);
  Result<lun::LunConfig> as_opened = at_opening ? lun::parse(text, *at_opening) : lun::parse(text);
  if (!as_opened) {
    return as_opened.error();
  }
  Result<Whole> now = with_file(text);
  if (!now) {
    return now.error();
  }
  return lun::with_live_settings(as_opened.value(), now.value().config);
}

}  // namespace ballast::handler
