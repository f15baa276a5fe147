// SPDX-License-Identifier: Apache-2.0
// StoreRecords: what this machine remembers of the stores of its LUNs, so that an empty disk never
// takes the place of a known one.
//
// A file that is missing tells nothing: it may never have been, or its file system is not mounted
// yet. So each path that was ever the store of a LUN has a record, one small file in
// /var/lib/ballast/volumes: the path, the LUN, its size, and by what the store is known again
// (store_identity.h). Nobody but an operator removes one: what looks like a deleted LUN from here
// (its folder in configfs is gone) is also what a clean shutdown and a reboot look like.
//
// A record is written aside, made durable and renamed, so that it is there whole or not at all.
// Blocking calls: for an errand (lib/base/errand.h). Any thread; two writers of one record leave
// one of the two.
#pragma once

#include <optional>
#include <string>

#include "lib/backend/store_identity.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct StoreRecord {
  std::string path;  // as the LUN is configured, lexically normal
  std::string lun;   // the backstore's name
  Bytes size;        // the LUN's
  StoreIdentity identity;
  std::string since;  // when the store was first seen, RFC 3339, UTC

  friend bool operator==(const StoreRecord&, const StoreRecord&) = default;
};

class StoreRecords {
 public:
  static constexpr const char* default_folder = "/var/lib/ballast/volumes";

  // Empty: nothing is remembered.
  explicit StoreRecords(std::string folder) : folder_{std::move(folder)} {}

  bool remembers() const { return !folder_.empty(); }

  // Nothing: this path was never the store of a LUN. An error: nobody can tell.
  Result<std::optional<StoreRecord>> find(const std::string& path) const;
  // Makes the folder if it is missing.
  Result<void> keep(const StoreRecord& record) const;

  // The file with the record of `path`: what an operator removes to begin with an empty disk.
  std::string file_of(const std::string& path) const;

 private:
  std::string folder_;
};

// Now, as `since` has it.
std::string timestamp();

std::string normal_path(const std::string& path);

}  // namespace ballast::backend
