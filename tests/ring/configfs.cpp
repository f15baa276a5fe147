// SPDX-License-Identifier: Apache-2.0
#include "tests/ring/configfs.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "lib/base/assert.h"
#include "tests/ring/support.h"

namespace ballast::ring_test {
namespace {

constexpr std::string_view uio_tree = "/sys/class/uio/";
constexpr std::string_view target_tree = "/sys/kernel/config/target/";

const std::string& root() {
  static const Folder folder{std::filesystem::temp_directory_path().c_str()};
  static const std::string path = folder.file("");
  return path;
}

std::string attribute_path(const std::string& uio_name, const char* name) {
  return configfs_file(uio_name, std::string{"attrib/"} + name);
}

std::string played(const char* path) {
  const std::string_view asked = path;
  if (asked.starts_with(uio_tree)) {
    return root() + "uio/" + std::string{asked.substr(uio_tree.size())};
  }
  if (asked.starts_with(target_tree)) {
    return root() + std::string{asked.substr(target_tree.size())};
  }
  return path;
}

}  // namespace

std::string configfs_file(const std::string& uio_name, const std::string& file) {
  return root() + "core/user_0/" + uio_name + "/" + file;
}

void add_to_configfs(const std::string& uio_name) {
  const std::string uio = root() + "uio/" + uio_name;
  std::filesystem::create_directories(uio);
  std::ofstream{uio + "/name"} << "tcm-user/0/" << uio_name << "/ballast";
  std::filesystem::create_directories(attribute_path(uio_name, ""));
  std::filesystem::create_directories(configfs_file(uio_name, "alua/default_tg_pt_gp"));
  set_attribute(uio_name, "cmd_time_out", 30);
  set_attribute(uio_name, "tmr_notification", 0);
}

void set_attribute(const std::string& uio_name, const char* name, int value) {
  std::ofstream file{attribute_path(uio_name, name)};
  file << value << "\n";
  BALLAST_ASSERT(file.good());
}

int attribute(const std::string& uio_name, const char* name) {
  int value = -1;
  std::ifstream{attribute_path(uio_name, name)} >> value;
  return value;
}

void set_group(const std::string& uio_name, const std::string& group, int id,
               const std::string& members) {
  const std::string folder = configfs_file(uio_name, "alua/" + group);
  std::filesystem::create_directories(folder);
  std::ofstream{folder + "/tg_pt_gp_id"} << id << "\n";
  std::ofstream{folder + "/members"} << members;
}

void set_tpg(const std::string& target, int tag, bool enabled) {
  const std::string folder = root() + "iscsi/" + target + "/tpgt_" + std::to_string(tag);
  std::filesystem::create_directories(folder);
  std::ofstream{folder + "/enable"} << (enabled ? 1 : 0) << "\n";
}

bool (*refuse_open)(const void* caller) = nullptr;

}  // namespace ballast::ring_test

#pragma GCC visibility push(default)
extern "C" int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const auto refuse = ballast::ring_test::refuse_open;
  if (refuse != nullptr && refuse(__builtin_return_address(0))) {
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(
      ::syscall(SYS_openat, AT_FDCWD, ballast::ring_test::played(path).c_str(), flags, mode));
}
#pragma GCC visibility pop
