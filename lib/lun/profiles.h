// SPDX-License-Identifier: Apache-2.0
// Settings for many LUNs, in /etc/ballast/ballast.conf:
//
//   [defaults]              # of every LUN
//   deadline = 20s
//
//   [profile database]      # of the LUNs with ;profile=database in their configuration string
//   elevator = on
//
// What a LUN's string says counts over its profile, and its profile over the defaults. The file has
// the keys of the configuration string (config.h). [defaults] may have keys that only some kinds of
// store know; other LUNs leave them out.
//
// read() blocks. Everything else is a pure function; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace ballast::lun {

struct Assignment {
  std::string key, value;
};

struct Profile {
  std::string name;  // empty: [defaults]
  std::vector<Assignment> assignments;

  std::string heading() const;  // "[profile database]"
};

class Profiles {
 public:
  // BALLAST_CONF in the environment, or else /etc/ballast/ballast.conf.
  static std::string usual_path();
  // Of a file that does not exist: none. The error is a sentence that names file and line.
  static Result<Profiles> read(const std::string& path);
  static Result<Profiles> parse(const std::string& text, const std::string& path);

  const std::string& path() const { return path_; }
  const Profile* find(std::string_view name) const;
  const Profile* defaults() const { return find({}); }
  // "database, archive"
  std::string names() const;

 private:
  std::string path_;
  std::vector<Profile> profiles_;
};

// What may stand behind "profile=", and behind "copy_group=".
Result<void> check_profile_name(std::string_view what, std::string_view name);

}  // namespace ballast::lun
