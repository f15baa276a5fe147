// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/report/walk.h"

#include <filesystem>

namespace ballast::ctl::report {

// Links are not followed, so it is as deep as configfs is.
void walk(const Files& files, const std::string& folder,
          const std::function<bool(const std::string& name)>& enters,
          const std::function<void(const std::string& path, const std::string& name)>& visit) {
  for (const std::string& name : files.list(folder)) {
    const std::string path = folder + "/" + name;
    std::error_code ignored;
    const auto type = std::filesystem::symlink_status(files.real(path), ignored).type();
    if (type == std::filesystem::file_type::regular) {
      visit(path, name);
    } else if (type == std::filesystem::file_type::directory && enters(name)) {
      walk(files, path, enters, visit);
    }
  }
}

}  // namespace ballast::ctl::report
