// SPDX-License-Identifier: Apache-2.0
// What of a target's configuration must not leave the machine: CHAP names and passwords, and all
// that is about them. Pure, but passwords_of(), which reads files.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::report {

// Of an attribute in configfs, or of a member of saveconfig.json.
bool is_secret(std::string_view name);
// A folder of configfs that has nothing else.
bool is_folder_of_secrets(std::string_view name);

// Removes members with such names, at any depth. Returns how many.
std::size_t remove_secrets(nlohmann::ordered_json& json);

// The passwords in configfs and in saveconfig.json.
std::vector<std::string> passwords_of(const Files& files);

// Puts "[removed]" in their place. Those that are so short that they are parts of other words stay.
void blot_out(const std::vector<std::string>& passwords, std::string& text);
// Removes lines that mention CHAP, a password or the like. Returns how many.
std::size_t remove_lines_about_secrets(std::string& text);

}  // namespace ballast::ctl::report
