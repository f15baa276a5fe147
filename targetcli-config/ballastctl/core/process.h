// SPDX-License-Identifier: Apache-2.0
// Process: the LUNs of a dead tcmu-runner, and what is known of its end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/watch/snapshot.h"
#include "targetcli-config/ballastctl/core/core_file.h"
#include "targetcli-config/ballastctl/core/object.h"

namespace ballast::ctl::core {

// A LUN's executor, and what was found on it.
struct DeadLun {
  Object executor;
  std::optional<Object> lun{};
  std::optional<Object> device{};
  std::optional<Object> uring{};
  std::optional<Object> logged{};  // the backend that has a write log in front of the store
  std::optional<Object> shared{};  // what sees to it whose a shared store is
  std::optional<Object> image{};   // in Ceph
  std::optional<Object> nbd{};     // the connections to an NBD server
  std::vector<Object> mutexes{};
  std::string name() const { return executor.text("name"); }
  void add(const std::string& name, Object object);
};

class Process {
 public:
  // `core` and `reader` outlive it. `module` is empty, or a file to use instead of the plugin's.
  // The error says why no plugin can be found in it.
  static Result<Process> find(CoreFile& core, Reader& reader, const std::string& module);

  // In the order in which they were opened.
  const std::vector<DeadLun>& luns() const { return luns_; }
  // The latest time that anything in it has read.
  TimePoint now() const { return now_; }
  Reader& reader() const { return *reader_; }
  // How it ended, and what that means for what is shown: sentences without their end.
  std::vector<std::string> end() const;

 private:
  Process(const CoreFile& core, Reader& reader) : core_{&core}, reader_{&reader} {}
  void find_luns(const Object& newest);
  std::string who_drove() const;

  const CoreFile* core_;
  Reader* reader_;
  std::vector<DeadLun> luns_;
  TimePoint now_{};
  std::optional<MappedFile> module_;
};

// As the live plugin describes its LUNs (lun::Lun::describe). Texts in it belong to the reader.
std::vector<watch::LunSnapshot> snapshots(const Process& process, const watch::Lists& lists);

inline constexpr std::size_t longest_chain = 64;  // coroutines of one task

// The lists of a task set that together have all its commands.
inline constexpr std::array slot_lists{"held", "ending", "waiting", "orphans"};
// "WRITE(10)", of a command's record; "opcode 0x2a" if the name cannot be read.
std::string operation_of(const Object& record);

// "volume.cpp:123" of the place that a member points to; empty: nowhere.
std::string place(const std::optional<Object>& place);

}  // namespace ballast::ctl::core
