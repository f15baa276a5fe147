// SPDX-License-Identifier: Apache-2.0
#include "handler/saved_configuration.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "handler/config_string.h"
#include "lib/backend/store_record.h"
#include "lib/base/saved_configuration.h"
#include "lib/lun/config.h"

namespace ballast::handler {
namespace {

std::vector<std::string> files() {
  const char* const instead = std::getenv("BALLAST_SAVED_CONFIGURATION");
  if (instead != nullptr) {
    return {instead};
  }
  return {saved_configuration_files.begin(), saved_configuration_files.end()};
}

bool is_on(const nlohmann::json& storage_object, const std::string& path) {
  const auto config = storage_object.find("config");
  if (config == storage_object.end() || !config->is_string()) {
    return false;
  }
  const std::string text = config->get<std::string>();
  if (!std::string_view{text}.starts_with(lun::daemon_prefix)) {
    return false;
  }
  const Result<lun::LunConfig> parsed = lun::parse(config_string(text));
  return parsed && !parsed.value().store.file.path.empty() &&
         backend::normal_path(parsed.value().store.file.path) == backend::normal_path(path);
}

bool names(const std::string& file, const std::string& path) {
  std::ifstream text{file};
  const nlohmann::json saved = nlohmann::json::parse(text, nullptr, false);
  if (!saved.is_object()) {
    return false;
  }
  const auto objects = saved.find("storage_objects");
  if (objects == saved.end() || !objects->is_array()) {
    return false;
  }
  for (const nlohmann::json& object : *objects) {
    if (object.is_object() && is_on(object, path)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool saved_configuration_has(const std::string& path) {
  for (const std::string& file : files()) {
    if (names(file, path)) {
      return true;
    }
  }
  return false;
}

}  // namespace ballast::handler
