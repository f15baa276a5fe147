// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/drill/rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include "lib/backend/store_record.h"
#include "lib/base/unique_fd.h"
#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/report/report.h"

namespace ballast::ctl::drill {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* core = "/sys/kernel/config/target/core";
constexpr const char* iscsi = "/sys/kernel/config/target/iscsi";
constexpr const char* mapped = "/dev/mapper/ballast-drill";
// A unit serial that never changes: dm-multipath notes each one that it has seen.
constexpr const char* serial = "ba11a57d-0d11-4d11-8d11-ba11a57dd111";
constexpr Nanoseconds patience = 60s;

std::string target_folder() {
  return fmt::format("{}/{}", iscsi, target);
}
std::string group_folder() {
  return target_folder() + "/tpgt_1";
}

// --- running programs ---

Result<std::string> run(const std::vector<std::string>& program) {
  report::Output output = report::run_bounded(program, patience, 1 << 16, false);
  if (!output.problem.empty()) {
    return Error{EIO, fmt::format("{}: {}", fmt::join(program, " "), output.problem)};
  }
  return std::move(output.text);
}

Result<void> run_silently(const std::vector<std::string>& program) {
  const Result<std::string> said = run(program);
  return said ? Result<void>{} : said.error();
}

// The steps of a making, of which the first that fails ends it.
Result<void> in_turn(const std::vector<std::function<Result<void>()>>& steps) {
  for (const auto& step : steps) {
    if (Result<void> done = step(); !done) {
      return done;
    }
  }
  return {};
}

bool wait_until(Nanoseconds limit, const std::function<bool()>& is_so) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(100ms);
  }
  return true;
}

// --- finding ---

std::optional<std::string> dm_folder(const Files& files) {
  for (const std::string& disk : files.list("/sys/block")) {
    const std::string its = "/sys/block/" + disk + "/dm";
    if (disk.starts_with("dm-") && files.value(its + "/name") == name) {
      return its;
    }
  }
  return std::nullopt;
}

// "loop3": those over the drill's file, be it deleted or not.
std::vector<std::string> loops(const Files& files) {
  std::vector<std::string> all;
  for (const std::string& disk : files.list("/sys/block")) {
    const auto file = files.value("/sys/block/" + disk + "/loop/backing_file");
    if (file && file->starts_with(store)) {
      all.push_back(disk);
    }
  }
  return all;
}

// "user_3": the folder of the backstore's HBA.
std::optional<std::string> hba(const Files& files) {
  for (const std::string& each : files.list(core)) {
    if (each.starts_with("user_") &&
        files.is_directory(fmt::format("{}/{}/{}", core, each, name))) {
      return each;
    }
  }
  return std::nullopt;
}

// "session3"
std::vector<std::string> sessions(const Files& files) {
  std::vector<std::string> all;
  for (const std::string& each : files.list("/sys/class/iscsi_session")) {
    if (files.value("/sys/class/iscsi_session/" + each + "/targetname") == target) {
      all.push_back(each);
    }
  }
  return all;
}

bool has_node_record(const Files& files) {
  return std::ranges::any_of(std::array{"/etc/iscsi", "/var/lib/iscsi"}, [&](const char* place) {
    return files.exists(fmt::format("{}/nodes/{}", place, target));
  });
}

std::string record_of_store() {
  return backend::StoreRecords{backend::StoreRecords::default_folder}.file_of(mapped);
}

std::optional<std::string> initiator_name(const Files& files) {
  const std::string text = files.read("/etc/iscsi/initiatorname.iscsi").value_or("");
  constexpr std::string_view key = "InitiatorName=";
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.starts_with(key) && line.size() > key.size()) {
      return line.substr(key.size());
    }
    at = end + 1;
  }
  return std::nullopt;
}

// --- configfs ---

Error failed(const std::string& what, const std::string& path) {
  const int reason = errno;
  return {reason, fmt::format("{} cannot be {}: {}", path, what, std::strerror(reason))};
}

Result<void> make_folder(const Files& files, const std::string& path) {
  if (::mkdir(files.real(path).c_str(), 0755) != 0 && errno != EEXIST) {
    return failed("made", path);
  }
  return {};
}

Result<void> link(const Files& files, const std::string& from, const std::string& to) {
  if (::symlink(files.real(to).c_str(), files.real(from).c_str()) != 0) {
    return failed("made a link to " + to, from);
  }
  return {};
}

// Of a folder in configfs only what somebody has made can be removed: the links in it, then it.
void remove_folder(const Files& files, const std::string& path,
                   std::vector<std::string>& problems) {
  for (const std::string& entry : files.list(path)) {
    std::error_code ignored;
    if (const std::string each = files.real(path + "/" + entry); fs::is_symlink(each, ignored)) {
      fs::remove(each, ignored);
    }
  }
  if (::rmdir(files.real(path).c_str()) != 0 && errno != ENOENT) {
    problems.push_back(failed("removed", path).message);
  }
}

void remove_folders_in(const Files& files, const std::string& path, std::string_view prefix,
                       std::vector<std::string>& problems) {
  for (const std::string& entry : files.list(path)) {
    if (entry.starts_with(prefix)) {
      remove_folder(files, path + "/" + entry, problems);
    }
  }
}

void remove_target(const Files& files, std::vector<std::string>& problems) {
  if (!files.is_directory(target_folder())) {
    return;
  }
  const std::string group = group_folder();
  if (files.is_directory(group)) {
    (void)files.write_value(group + "/enable", "0");  // what it refuses, the folders refuse too
    for (const std::string& initiator : files.list(group + "/acls")) {
      remove_folders_in(files, fmt::format("{}/acls/{}", group, initiator), "lun_", problems);
      remove_folder(files, fmt::format("{}/acls/{}", group, initiator), problems);
    }
    remove_folders_in(files, group + "/lun", "lun_", problems);
    remove_folders_in(files, group + "/np", "", problems);
    remove_folder(files, group, problems);
  }
  remove_folder(files, target_folder(), problems);
}

void remove_backstore(const Files& files, std::vector<std::string>& problems) {
  if (const auto found = hba(files)) {
    remove_folder(files, fmt::format("{}/{}/{}", core, *found, name), problems);
    remove_folder(files, fmt::format("{}/{}", core, *found), problems);
  }
}

// --- making ---

Result<void> make_file(Bytes size) {
  if (::mkdir(folder, 0700) != 0 && errno != EEXIST) {
    return failed("made", folder);
  }
  const UniqueFd file{::open(store, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!file) {
    return failed("made", store);
  }
  // Not sparse: a drill must not end because the file system is full.
  errno = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size.value()));
  if (errno != 0) {
    return failed(fmt::format("given {} bytes", size.value()), store);
  }
  return {};
}

Result<void> make_device(const Files& files, Bytes size) {
  const Result<std::string> loop = run({"losetup", "-f", "--show", store});
  if (!loop) {
    return loop.error();
  }
  const std::string device = loop.value().substr(0, loop.value().find('\n'));
  const std::string table = fmt::format("0 {} linear {} 0", size.value() / 512, device);
  if (const Result<void> made = run_silently({"dmsetup", "create", name, "--table", table});
      !made) {
    return made;
  }
  // udev looks at a new disk, and must not be caught at it by the freeze.
  (void)run({"udevadm", "settle", "--timeout=20"});
  if (!wait_until(10s, [&] { return files.exists(mapped); })) {
    return Error{ENODEV, fmt::format("{} does not appear: is udev running?", mapped)};
  }
  return {};
}

Result<void> make_backstore(const Files& files, Bytes size) {
  unsigned number = 0;
  while (files.exists(fmt::format("{}/user_{}", core, number))) {
    ++number;
  }
  const std::string hba_folder = fmt::format("{}/user_{}", core, number);
  const std::string backstore = hba_folder + "/" + name;
  const auto set = [&](const char* file, const std::string& value) {
    return files.write_value(backstore + "/" + file, value);
  };
  const Result<void> made = in_turn({
      [&] { return make_folder(files, hba_folder); },
      [&] { return make_folder(files, backstore); },
      [&] {
        return set("control", fmt::format("dev_config={}file={}", lun::daemon_prefix, mapped));
      },
      [&] { return set("control", fmt::format("dev_size={}", size.value())); },
      [&] { return set("wwn/vpd_unit_serial", serial); },
      [&] { return set("enable", "1"); },
  });
  if (!made) {
    return Error{made.error().errno_value,
                 made.error().message + ": the last lines of /var/log/tcmu-runner.log say why"};
  }
  return {};
}

Result<void> make_target(const Files& files, std::uint16_t port) {
  const std::string group = group_folder();
  const std::string acl = fmt::format("{}/acls/{}", group, initiator_name(files).value_or(""));
  const std::string lun = group + "/lun/lun_0";
  const std::string backstore = fmt::format("{}/{}/{}", core, hba(files).value_or(""), name);
  return in_turn({
      // The kernel makes this one of itself and loads its module; it stays, and holds nothing.
      [&] { return make_folder(files, iscsi); },
      [&] { return make_folder(files, target_folder()); },
      [&] { return make_folder(files, group); },
      [&] { return make_folder(files, fmt::format("{}/np/127.0.0.1:{}", group, port)); },
      [&] { return make_folder(files, lun); },
      [&] { return link(files, lun + "/backstore", backstore); },
      // Nobody but this machine's initiator sees it, not even in a discovery.
      [&] { return make_folder(files, acl); },
      [&] { return make_folder(files, acl + "/lun_0"); },
      [&] { return link(files, acl + "/lun_0/lun", lun); },
      [&] { return files.write_value(group + "/attrib/authentication", "0"); },
      [&] { return files.write_value(group + "/enable", "1"); },
  });
}

Result<void> log_in(std::uint16_t port) {
  const std::string portal = fmt::format("127.0.0.1:{}", port);
  const auto node = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"iscsiadm", "-m", "node", "-T", target, "-p", portal};
    words.insert(words.end(), more.begin(), more.end());
    return run_silently(words);
  };
  return in_turn({
      [&] {
        return run_silently({"iscsiadm", "-m", "node", "-o", "new", "-T", target, "-p",
                             portal + ",1", "-I", "default"});
      },
      // Whatever iscsid.conf says: a record that is left behind logs in to nothing at boot.
      [&] {
        return node({"-o", "update", "-n", "node.startup", "-v", "manual"});
      },
      [&] {
        return node({"-o", "update", "-n", "node.session.auth.authmethod", "-v", "None"});
      },
      [&] { return node({"--login"}); },
  });
}

std::optional<std::string> own_disk(const Files& files) {
  const Result<std::vector<Disk>> all = disks(files, {});
  for (const Disk& disk : all.ok() ? all.value() : std::vector<Disk>{}) {
    if (disk.target == target && files.exists("/dev/" + disk.name)) {
      return disk.name;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> lacking(const Files& files) {
  struct Program {
    const char* name;
    const char* package;
  };
  for (const Program& program : {Program{"dmsetup", "dmsetup"}, Program{"losetup", "util-linux"},
                                 Program{"iscsiadm", "open-iscsi"}}) {
    const bool is_there = std::ranges::any_of(
        std::array{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"},
        [&](const char* place) { return files.exists(std::string{place} + program.name); });
    if (!is_there) {
      return fmt::format("a drill needs {}, which is not installed: apt install {}", program.name,
                         program.package);
    }
  }
  if (!files.is_directory(core)) {
    return "a drill needs the kernel's target, which is not loaded: run ballast-kmod load";
  }
  if (!initiator_name(files)) {
    return "this machine's initiator has no name: /etc/iscsi/initiatorname.iscsi has no "
           "InitiatorName=";
  }
  return std::nullopt;
}

std::vector<std::string> leftovers(const Files& files) {
  std::vector<std::string> all;
  for (const std::string& each : sessions(files)) {
    all.push_back("the session " + each);
  }
  if (has_node_record(files)) {
    all.push_back(fmt::format("the node record of {}", target));
  }
  if (files.is_directory(target_folder())) {
    all.push_back(fmt::format("the target {}", target));
  }
  if (const auto found = hba(files)) {
    all.push_back(fmt::format("the backstore {}/{}", *found, name));
  }
  if (dm_folder(files)) {
    all.push_back(fmt::format("the device {}", mapped));
  }
  for (const std::string& each : loops(files)) {
    all.push_back("the device /dev/" + each);
  }
  if (files.exists(store)) {
    all.push_back(fmt::format("the file {}", store));
  }
  if (const std::string record = record_of_store(); files.exists(record)) {
    all.push_back(fmt::format("the record {}", record));
  }
  return all;
}

Result<std::uint16_t> free_port() {
  constexpr std::uint16_t usual = 3260, tried = 40;
  for (std::uint16_t port = usual; port < usual + tried; ++port) {
    const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        ::listen(socket.get(), 1) == 0) {
      return port;
    }
  }
  return Error{EADDRINUSE, fmt::format("no TCP port of 127.0.0.1 from {} to {} is free for the "
                                       "drill's target: ss -ltn shows who has them",
                                       usual, usual + tried - 1)};
}

Result<std::string> make(const Files& files, Bytes size, std::uint16_t port) {
  const Result<void> made = in_turn({
      [&] { return make_file(size); },
      [&] { return make_device(files, size); },
      [&] { return make_backstore(files, size); },
      [&] { return make_target(files, port); },
      [&] { return log_in(port); },
  });
  if (!made) {
    return made.error();
  }
  if (!wait_until(patience, [&] { return own_disk(files).has_value(); })) {
    return Error{ENODEV, fmt::format("the session to {} is there, but its disk does not appear: "
                                     "see the kernel log",
                                     target)};
  }
  (void)run({"udevadm", "settle", "--timeout=20"});
  return *own_disk(files);
}

Result<void> freeze() {
  return run_silently({"dmsetup", "suspend", "--noflush", "--nolockfs", name});
}

Result<void> thaw(const Files& files) {
  const auto dm = dm_folder(files);
  if (!dm || files.value(*dm + "/suspended") != "1") {
    return {};
  }
  // Not in step with udev, which may be what waits for the disk.
  return run_silently({"dmsetup", "resume", "--noudevsync", name});
}

std::vector<std::string> remove_all(const Files& files) {
  std::vector<std::string> problems;
  const auto note = [&](const Result<void>& done) {
    if (!done) {
      problems.push_back(done.error().message);
    }
  };
  note(thaw(files));
  for (const std::string& each : sessions(files)) {
    constexpr std::string_view prefix = "session";
    // udev looks at a disk that was written, and the kernel would log errors if it went meanwhile.
    (void)run({"udevadm", "settle", "--timeout=20"});
    note(run_silently({"iscsiadm", "-m", "session", "-r", each.substr(prefix.size()), "--logout"}));
  }
  if (has_node_record(files)) {
    note(run_silently({"iscsiadm", "-m", "node", "-o", "delete", "-T", target}));
  }
  remove_target(files, problems);
  remove_backstore(files, problems);
  if (dm_folder(files)) {
    // io_uring lets go of a closed device late.
    note(run_silently({"dmsetup", "remove", "--retry", name}));
  }
  for (const std::string& each : loops(files)) {
    note(run_silently({"losetup", "-d", "/dev/" + each}));
  }
  note(files.remove(store));
  note(files.remove(record_of_store()));
  (void)::rmdir(files.real(folder).c_str());
  return problems;
}

}  // namespace ballast::ctl::drill
