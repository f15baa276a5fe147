// SPDX-License-Identifier: Apache-2.0
#include "handler/config_string.h"

namespace ballast::handler {

std::string config_string(std::string_view daemon_string) {
  constexpr std::string_view subtype = "ballast/";
  std::string_view text = daemon_string;
  if (text.starts_with(subtype)) {
    text.remove_prefix(subtype.size());
  }
  if (text.starts_with('/')) {
    return std::string{"file:"}.append(text);
  }
  for (const std::string_view scheme : {"file", "memory", "null"}) {
    if (text.starts_with(scheme)) {
      const std::string_view rest = text.substr(scheme.size());
      if (rest.starts_with('=')) {
        return std::string{scheme}.append(":").append(rest.substr(1));
      }
      if (rest.empty() || rest.front() == '/' || rest.front() == ';') {
        return std::string{scheme}.append(":").append(rest);
      }
    }
  }
  return std::string{text};
}

bool has_daemon_timeout(std::string_view daemon_string) {
  return daemon_string.find(";tcmur_cmd_time_out=") != std::string_view::npos;
}

}  // namespace ballast::handler
