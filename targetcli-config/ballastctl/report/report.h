// SPDX-License-Identifier: Apache-2.0
// ballastctl report: a bundle of files about this machine's Ballast, for who helps its operator.
//
// Each file of the bundle is the output of a program, this one with another subcommand among them.
// So each has its own limits of time and size, and none can hold up or break the others: what reads
// configfs, for example, may hang for as long as a store does.
//
// What must not leave the machine is taken out in two ways. Attributes that hold secrets are not
// read, or are removed where they stand (secrets.h). And then the passwords themselves are blotted
// out, wherever they appear.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::report {

// --- parts.cpp: what is in a bundle

struct Part {
  std::string name;                  // of the file in the bundle
  std::vector<std::string> program;  // and its arguments; "ballastctl" is this program
  bool is_log = false;               // its lines are chosen, and the newest kept
};
const std::vector<Part>& parts();
// What `ballastctl report --part NAME` prints, for parts that need code of their own.
Result<std::string> own_part(const Files& files, const std::string& name);
std::vector<std::string> own_parts();

// --- child.cpp: runs a program

struct Output {
  std::string text;
  std::string problem;  // empty: it has ended well
};
// Kills it after `patience`, and does not wait for one that cannot be killed. `most`: bytes; of a
// log the last ones are kept, of another text the first ones.
Output run_bounded(const std::vector<std::string>& program, Nanoseconds patience, std::size_t most,
                   bool keep_last);

// --- bundle.cpp: the file

// A tar archive, compressed by gzip, with mode 0600. It must not be there yet. An error, or a
// Bundle that is destroyed before finish(), leaves no file.
class Bundle {
 public:
  static Result<Bundle> create(const std::string& path, std::string folder);
  Bundle(Bundle&& other) noexcept;
  Bundle& operator=(Bundle&&) = delete;
  ~Bundle();

  Result<void> add(const std::string& name, const std::string& content);
  Result<void> finish();

 private:
  Bundle(std::string path, std::string folder, int fd, void* archive);
  Error failure() const;

  std::string path_;  // empty: moved from, or finished
  std::string folder_;
  int fd_;
  void* archive_;
};

}  // namespace ballast::ctl::report
