// SPDX-License-Identifier: Apache-2.0
// What fuzzers of ballastctl need: a folder that looks like a machine, and ballastctl's output out
// of the way.
#pragma once

#include <clocale>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "tests/fuzz/check.h"
#include "tests/unit/backend/lab.h"

namespace ballast::test {

class Machine {
 public:
  // As main() does: in the locale C, libsmartcols never ends with a text that is not ASCII.
  Machine() { check(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr, "no locale C.UTF-8"); }

  const std::string& root() const { return folder_.path(); }
  std::string real(std::string_view path) const { return root() + std::string{path}; }

  void write(std::string_view path, std::string_view content) const {
    const std::filesystem::path file{real(path)};
    std::FILE* stream = std::fopen(file.c_str(), "we");
    if (stream == nullptr) {
      std::filesystem::create_directories(file.parent_path());
      stream = std::fopen(file.c_str(), "we");
    }
    check(stream != nullptr, "a file cannot be written", path);
    check(std::fwrite(content.data(), 1, content.size(), stream) == content.size(),
          "a file cannot be written", path);
    std::fclose(stream);
  }
  std::string read(std::string_view path) const {
    std::FILE* const stream = std::fopen(real(path).c_str(), "re");
    check(stream != nullptr, "a file cannot be read", path);
    std::string content(std::size_t{1} << 16, '\0');
    content.resize(std::fread(content.data(), 1, content.size(), stream));
    std::fclose(stream);
    return content;
  }

 private:
  Folder folder_{"/dev/shm"};
};

// While it lives, what the process prints goes nowhere. (glibc lets a program assign its streams.)
// What a sanitizer says is not printed through these, and so appears.
class Quiet {
 public:
  Quiet() : out_{stdout}, error_{stderr} {
    static std::FILE* const nowhere = std::fopen("/dev/null", "we");
    stdout = nowhere;
    stderr = nowhere;
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() {
    stdout = out_;
    stderr = error_;
  }

 private:
  std::FILE* const out_;
  std::FILE* const error_;
};

}  // namespace ballast::test
